/** What the routes share, and how they refuse. */
import type { FastifyReply } from 'fastify';
import { errorBody, errorKinds, isErrorCode, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import type { Policy } from '@tussah/attestation/policy/policy';
import type { Logger } from 'pino';
import type { Accounts } from '../accounts.ts';
import type { Dispatcher } from '../dispatcher.ts';
import type { JobStreams } from '../job-streams.ts';
import type { Metrics } from '../metrics.ts';
import type { Directory } from '../private/directory.ts';
import type { SealedStreams } from '../private/sealed-streams.ts';
import type { Store } from '../store/port.ts';
import type { TokenBuckets } from '../token-bucket.ts';
import type { Tokenizers } from '../tokenizers.ts';

export interface HttpContext {
  readonly version: string;
  readonly dispatcher: Dispatcher;
  readonly streams: JobStreams;
  readonly accounts: Accounts;
  readonly store: Store;
  readonly tokenizers: Tokenizers;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly now: () => number;
  /** Requests of guests, by network. */
  readonly guestRequests: TokenBuckets;
  readonly adminToken: string;
  readonly private: PrivateContext;
}

/** What the routes of the private tier need. */
export interface PrivateContext {
  readonly streams: SealedStreams;
  readonly directory: Directory;
  /** The operator's, for nodes. Without one there is no private tier here. */
  readonly policy: Policy | undefined;
}

declare module 'fastify' {
  interface FastifyReply {
    /** The code of the refusal that it is; null for other answers. */
    refusal: ErrorCode | null;
  }
}

const RETRY_AFTER_SECONDS = 2;

export const statusOf = (failed: Failure): number =>
  isErrorCode(failed.code) ? errorKinds[failed.code].status : 500;

/** Answers with OpenAI's error body. */
export function refuse(reply: FastifyReply, failed: Failure): FastifyReply {
  const status = statusOf(failed);
  if (status === 429 || status === 503) void reply.header('retry-after', String(RETRY_AFTER_SECONDS));
  reply.refusal = isErrorCode(failed.code) ? failed.code : 'internal';
  return reply.code(status).send(errorBody(failed));
}
