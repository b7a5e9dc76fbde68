/** What stays with a private answer: the machines that took it, and the receipt with all that it has to agree with. */
import { FailureSchema } from '@tussah/protocol/errors';
import { PriceSchema } from '@tussah/protocol/money';
import { PrivateReceiptSchema } from '@tussah/protocol/private/private-receipt';
import * as v from 'valibot';

/** A machine that this browser has verified, in words for people. Times are milliseconds since 1970. */
export const MachineSchema = v.object({
  /** Name of its bundle. */
  bundle: v.string(),
  /** Who is paid. */
  identity: v.string(),
  hardware: v.string(),
  gpus: v.array(v.string()),
  image: v.string(),
  price: PriceSchema,
  simulated: v.boolean(),
  /** Name of the policy that accepted it. */
  policy: v.string(),
  verifiedAtMs: v.number(),
  joinedAtMs: v.number(),
  notAfterMs: v.number(),
  stepsPassed: v.number(),
});
export type Machine = v.InferOutput<typeof MachineSchema>;

/** What this browser knows of the job by itself; the members of `ExpectedReceipt` that outlive the answer. */
const ExpectedSchema = v.object({
  /** Signed the directory from which the machine was chosen. */
  coordinator: v.exactOptional(v.string()),
  /** Out of verified evidence. */
  receiptKey: v.exactOptional(v.string()),
  jobId: v.exactOptional(v.string()),
  bundle: v.exactOptional(v.string()),
  identity: v.exactOptional(v.string()),
  model: v.exactOptional(v.string()),
  price: v.exactOptional(PriceSchema),
  promptTokens: v.exactOptional(v.number()),
  completionTokens: v.exactOptional(v.number()),
});
export type Expected = v.InferOutput<typeof ExpectedSchema>;

export const ProofSchema = v.object({
  /** Null where none came; `failure` then says so. */
  receipt: v.nullable(PrivateReceiptSchema),
  expected: ExpectedSchema,
  /** What was wrong with the receipt when it came. */
  failure: v.nullable(v.omit(FailureSchema, ['param'])),
});
export type Proof = v.InferOutput<typeof ProofSchema>;
