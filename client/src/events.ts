/** What a streamed chat says to whoever asked, and what it says when something between the two fails. */
import type { Usage } from '@tussah/protocol/chat-response';
import type { Failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { FinishReason } from '@tussah/protocol/sampling';

/** A failure, and how long the coordinator asks to wait where it does. */
export interface ChatFailure extends Failure {
  readonly retryAfterSeconds?: number;
}

export interface Finished {
  readonly type: 'finished';
  readonly finishReason: FinishReason;
  readonly usage: Usage | null;
  readonly jobId: string | null;
  readonly receipt: Receipt | null;
}

export type ChatEvent =
  | { readonly type: 'text-delta'; readonly text: string }
  /** The connection was lost and is back: the answer goes on after `tokens` tokens, without a gap. */
  | { readonly type: 'resumed'; readonly jobId: string; readonly tokens: number }
  | Finished
  /** No whole answer; `receipt` says what the part that came cost, where it is settled already. */
  | { readonly type: 'failed'; readonly failure: ChatFailure; readonly receipt: Receipt | null }
  /** The caller's own signal ended it. */
  | { readonly type: 'stopped' };

/** Failures that only this side can see. */
export const failures = {
  unreachable: {
    code: 'unreachable',
    message: 'The coordinator could not be reached.',
    remedy: 'Check the connection and the address, then ask again.',
  },
  cut: {
    code: 'stream_cut',
    message:
      'The connection ended before the answer did, and could not be made again. Only what you received is charged.',
    remedy: 'Check the connection, then ask again.',
  },
  unreadable: {
    code: 'unreadable_answer',
    message: 'The coordinator sent something this client does not understand.',
    remedy: 'Update the client, then ask again.',
  },
} as const satisfies Record<string, Failure>;
