/**
 * Frames of the contributor protocol `tussah.v1`: JSON text over a WebSocket at `/worker`. Each has one strict schema;
 * whatever is unknown, misplaced or out of bounds closes the session with a code and a remedy.
 */
import * as v from 'valibot';
import {
  JobIdSchema,
  PublicKeySchema,
  ReceiptIdSchema,
  SessionIdSchema,
  Sha256Schema,
  SignatureSchema,
} from './ids.ts';
import { limits } from './limits.ts';
import { NanoSchema, PriceSchema } from './money.ts';
import { FinishReasonSchema, LogprobSchema, SamplingSchema, TokenIdSchema } from './sampling.ts';
import { EngineProfileSchema } from './engine-profile.ts';

export const PROTOCOL = 'tussah.v1';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Well formed, since what is signed or counted must have one reading as UTF-8. */
const text = (characters: number) =>
  v.pipe(
    v.string(),
    v.maxLength(characters),
    v.check((value) => value.isWellFormed(), 'contains a lone surrogate'),
  );
const reason = text(limits.reasonCharacters);
const modelId = v.pipe(text(limits.modelIdCharacters), v.minLength(1));
const buildId = v.pipe(text(limits.buildIdCharacters), v.minLength(1));

/** A TON address in its 48-character friendly form (TEP-2). */
export const WalletSchema = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{48}$/, 'not a TON address'));

// Coordinator to contributor.

export const ChallengeSchema = v.strictObject({
  type: v.literal('challenge'),
  protocol: v.literal(PROTOCOL),
  coordinator: PublicKeySchema,
  nonce: Sha256Schema,
});

export const WelcomeSchema = v.strictObject({
  type: v.literal('welcome'),
  sessionId: SessionIdSchema,
  heartbeatMs: count,
  /** Earned by this key so far, after the network fee. */
  earnedNano: NanoSchema,
  networkFeeBasisPoints: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000)),
  /** Jobs of a resumed session that are still wanted; each goes on from this token position. */
  resumed: v.array(v.strictObject({ jobId: JobIdSchema, position: count })),
});

export const JobOfferSchema = v.strictObject({
  type: v.literal('job-offer'),
  jobId: JobIdSchema,
  model: modelId,
  build: buildId,
  /** Rendered and tokenised by the coordinator; `text` is what `ids` decode to, control tokens included. */
  prompt: v.strictObject({ text: v.string(), ids: v.array(TokenIdSchema) }),
  /** What other contributors have delivered already; empty for a new job. */
  prefix: v.strictObject({ text: v.string(), ids: v.array(TokenIdSchema) }),
  sampling: SamplingSchema,
  /** Bound of the whole answer, the prefix included. */
  maxTokens: v.pipe(count, v.minValue(1), v.maxValue(limits.completionTokensMax)),
  stop: v.pipe(v.array(text(limits.stopStringCharacters)), v.maxLength(limits.stopStrings)),
  /** Root of the seed schedule, see seeds.ts. */
  seedRoot: text(64),
  /** Alternatives wanted beside each token's log probability; null when none are wanted. */
  topLogprobs: v.nullable(v.pipe(count, v.maxValue(limits.topLogprobs))),
  /** What this contributor is paid from, before the network fee. */
  price: PriceSchema,
});
export type JobOffer = v.InferOutput<typeof JobOfferSchema>;

export const JobCancelSchema = v.strictObject({
  type: v.literal('job-cancel'),
  jobId: JobIdSchema,
  reason,
});

export const JobSettledSchema = v.strictObject({
  type: v.literal('job-settled'),
  jobId: JobIdSchema,
  receiptId: ReceiptIdSchema,
  tokens: count,
  payNano: NanoSchema,
  earnedNano: NanoSchema,
});

export const PingSchema = v.strictObject({ type: v.literal('ping'), n: count });

/** The coordinator stops: finish the running job, expect no other, reconnect after `reconnectAfterMs`. */
export const DrainSchema = v.strictObject({
  type: v.literal('drain'),
  reason,
  reconnectAfterMs: count,
});

/** The last frame before the coordinator closes a session. `retry` says whether reconnecting can help. */
export const RefusedSchema = v.strictObject({
  type: v.literal('refused'),
  code: text(64),
  message: reason,
  remedy: reason,
  retry: v.boolean(),
});

export const CoordinatorFrameSchema = v.variant('type', [
  ChallengeSchema,
  WelcomeSchema,
  JobOfferSchema,
  JobCancelSchema,
  JobSettledSchema,
  PingSchema,
  DrainSchema,
  RefusedSchema,
]);
export type CoordinatorFrame = v.InferOutput<typeof CoordinatorFrameSchema>;

// Contributor to coordinator.

export const HelloSchema = v.strictObject({
  type: v.literal('hello'),
  protocol: v.literal(PROTOCOL),
  publicKey: PublicKeySchema,
  /** Over `helloStatement`, domain `tussah-hello/1`. */
  signature: SignatureSchema,
  /** Where earnings are paid; null leaves them on the key's account. */
  wallet: v.nullable(WalletSchema),
  /** Software and version, such as `tussah-web/0.1.0`. */
  agent: text(64),
  /** The session to resume after a lost connection. */
  resume: v.nullable(SessionIdSchema),
});

/** What a contributor signs to prove its key to this coordinator, once. */
export const helloStatement = (
  coordinator: string,
  nonce: string,
  publicKey: string,
  wallet: string | null,
) => ({
  coordinator,
  nonce,
  publicKey,
  wallet,
});

export const ModelReadySchema = v.strictObject({
  type: v.literal('model-ready'),
  model: modelId,
  build: buildId,
  profile: EngineProfileSchema,
  /** Measured by the contributor itself; the matcher believes it only until jobs have shown better. */
  tokensPerSecond: v.pipe(v.number(), v.minValue(0), v.maxValue(100_000)),
  /** Lowest price accepted; null accepts the catalogue's. */
  ask: v.nullable(PriceSchema),
});

export const JobAcceptSchema = v.strictObject({ type: v.literal('job-accept'), jobId: JobIdSchema });

export const JobDeclineSchema = v.strictObject({
  type: v.literal('job-decline'),
  jobId: JobIdSchema,
  reason,
});

/**
 * A piece of the answer. `ids` decode to exactly `text`, so that a frame never ends inside a character; `position` is the
 * answer's token position of the first id, counted from 0 and over all segments. A stop string and what follows is
 * not delivered; a token that it cuts is replaced by the encoding of what is left of it.
 */
export const TextDeltaSchema = v.strictObject({
  type: v.literal('text-delta'),
  jobId: JobIdSchema,
  position: count,
  ids: v.pipe(v.array(TokenIdSchema), v.minLength(1), v.maxLength(limits.idsPerDelta)),
  text: text(limits.textPerDelta),
  logprobs: v.optional(v.pipe(v.array(LogprobSchema), v.maxLength(limits.idsPerDelta))),
  /** With the last text of an answer. Who goes on in its place could not tell: a stop string that it met is not delivered. */
  finishReason: v.optional(FinishReasonSchema),
});

export const JobDoneSchema = v.strictObject({
  type: v.literal('job-done'),
  jobId: JobIdSchema,
  finishReason: FinishReasonSchema,
  /** Tokens this contributor delivered: its segment of the answer. */
  tokens: count,
  idsHash: Sha256Schema,
  /** Over `segmentStatement` of receipts.ts, domain `tussah-segment/1`. */
  signature: SignatureSchema,
});

export const JobFailedSchema = v.strictObject({
  type: v.literal('job-failed'),
  jobId: JobIdSchema,
  code: text(64),
  /** A sentence for the operator; never a prompt or an answer. */
  message: reason,
});

/** Whether offers are welcome. `paused` and `draining` finish the running job. */
export const StatusSchema = v.strictObject({
  type: v.literal('status'),
  state: v.picklist(['ready', 'paused', 'draining']),
});

export const PongSchema = v.strictObject({ type: v.literal('pong'), n: count });

/** The commonest first: they are tried in this order. */
export const ContributorFrameSchema = v.variant('type', [
  TextDeltaSchema,
  HelloSchema,
  ModelReadySchema,
  JobAcceptSchema,
  JobDeclineSchema,
  JobDoneSchema,
  JobFailedSchema,
  StatusSchema,
  PongSchema,
]);
export type ContributorFrame = v.InferOutput<typeof ContributorFrameSchema>;

/**
 * WebSocket close codes of this protocol (RFC 6455 section 7.4.2, private use). A `refused` frame with the code's
 * sentence and remedy goes before each.
 */
export const closeCodes = {
  malformedFrame: 4400,
  unauthorized: 4401,
  illegalFrame: 4409,
  replaced: 4410,
  frameTooLarge: 4413,
  tooFast: 4429,
  protocolMismatch: 4426,
  timeout: 4408,
  shuttingDown: 4503,
} as const;
