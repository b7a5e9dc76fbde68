/** Reads OpenAI's request as a private question. What the private tier can't honour is refused by name, never ignored. */
import { readChatRequest, type ChatRequest } from '@tussah/protocol/chat-request';
import { fail, failure, type Result } from '@tussah/protocol/errors';
import { privateFailure } from './failures.ts';

/** `user` and how the answer is sent are read, and go nowhere. */
export type PrivateQuestion = Pick<
  ChatRequest,
  | 'model'
  | 'messages'
  | 'sampling'
  | 'maxTokens'
  | 'stop'
  | 'seed'
  | 'maxPriceNano'
  | 'stream'
  | 'includeUsage'
>;

/** Demands on contributors of the public tier, and resuming, which a node that keeps nothing could not do. */
const publicOnly = ['maxTtftMs', 'minTokensPerSecond', 'maxWaitMs', 'resumable', 'resume'] as const;

/** `body` is decoded JSON. */
export function readQuestion(body: unknown): Result<PrivateQuestion> {
  const chat = readChatRequest(body);
  if (!chat.ok) return chat;
  const { tussah } = body as { readonly tussah?: Readonly<Record<string, unknown>> | null };
  const tier = tussah?.['tier'] ?? 'private';
  if (tier !== 'private') return fail(privateFailure('other_tier', undefined, 'tussah.tier'));
  const foreign = publicOnly.find((name) => (tussah?.[name] ?? false) !== false);
  if (foreign !== undefined) return unsupported(`tussah.${foreign}`);
  if (chat.value.topLogprobs !== null) return unsupported('logprobs');
  return chat;
}

const unsupported = (param: string) =>
  fail(failure('unsupported_parameter', `${param} cannot be honoured in the private tier.`, param));
