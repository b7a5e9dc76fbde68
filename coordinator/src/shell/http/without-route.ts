/** Answers for sockets whose request never came to a route: what can't be read, and upgrades that are refused. */
import { STATUS_CODES } from 'node:http';
import { errorBody, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import { newId } from '@tussah/protocol/ids';
import { statusOf } from './context.ts';

export const newRequestId = (): string => newId('txn').replace('txn_', 'req_');

/** A whole HTTP response; the connection ends with it. */
export function answerWithoutRoute(failed: Failure<ErrorCode>): string {
  const body = JSON.stringify(errorBody(failed));
  const status = statusOf(failed);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${newRequestId()}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
