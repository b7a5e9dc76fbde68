/** What every answer to a hostile request must be like. */
import { ErrorBodySchema, errorKinds, isErrorCode, type ErrorCode } from '@tussah/protocol/errors';
import * as v from 'valibot';
import type { HostileRequest } from './request-parts.ts';
import type { Exchange, RawAnswer } from './raw-client.ts';

/** What is wrong with how a request was answered; undefined when nothing is. */
export function faultOf(request: HostileRequest, { answers, rest, end }: Exchange): string | undefined {
  if (end === 'aborted') return undefined;
  // Bytes changed at random may ask to keep the connection, which is then no hanging.
  if (end === 'late' && !(request.kind === 'framing' && answers.length > 0)) return 'it hangs';
  // Of what can't be read we don't know that it was a HEAD, whose answer has no body.
  if (rest !== '' && request.head !== true)
    return `bytes that are no answer: ${JSON.stringify(rest.slice(0, 200))}`;
  if (answers.length === 0 && request.silent !== true) return 'it was closed without an answer';
  for (const answer of answers) {
    const fault = answerFault(request, answer);
    if (fault !== undefined) return `${answer.status} ${JSON.stringify(answer.body.slice(0, 300))}: ${fault}`;
  }
  return undefined;
}

function answerFault(request: HostileRequest, answer: RawAnswer): string | undefined {
  if (answer.status < 400)
    return answer.headers.get('content-type')?.startsWith('text/event-stream') === true
      ? streamFault(answer.body)
      : undefined;
  if (answer.status >= 500 && answer.status !== 502 && answer.status !== 503) return 'our own failure';
  if (request.head === true) return undefined;
  // The site's own page for an address that is nobody's; the handshake has its own refusals (RFC 6455 section 4.4).
  const type = answer.headers.get('content-type') ?? '';
  if (type.startsWith('text/html'))
    return answer.status === 404 || request.kind === 'upgrade' ? undefined : 'a page';
  return type === 'application/json; charset=utf-8' ? errorFault(answer) : `its type is "${type}"`;
}

function errorFault({ status, body, headers }: RawAnswer): string | undefined {
  const { code, fault } = readError(body);
  if (code === undefined) return fault;
  if (errorKinds[code].status !== status) return `the status of ${code} is ${errorKinds[code].status}`;
  if (headers.get('x-request-id')?.startsWith('req_') !== true) return 'without a request id';
  return undefined;
}

function streamFault(body: string): string | undefined {
  const events = body.split('\n\n').filter((event) => event !== '');
  const last = events.at(-1);
  if (last === 'data: [DONE]') return undefined;
  if (last?.startsWith('data: {"error"') !== true) return 'a stream without an end';
  return readError(last.slice('data: '.length)).fault;
}

/** The code of an error body, or what is wrong with it. */
function readError(text: string): { code?: ErrorCode; fault?: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: 'not JSON' };
  }
  if (!v.is(ErrorBodySchema, value)) return { fault: "not an error of OpenAI's shape" };
  const { code, message, remedy } = value.error;
  if (!isErrorCode(code)) return { fault: 'not a known code' };
  if (code === 'internal') return { fault: 'a bug of ours' };
  return message.length > 10 && remedy.length > 10 ? { code } : { fault: 'no sentence or no remedy' };
}
