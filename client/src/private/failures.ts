/**
 * Every way in which a private chat can fail on this side, each with a sentence and a remedy. None of them moves the question to
 * another tier. Of what the coordinator itself says only the code is passed on.
 */
import { fail, failure, isErrorCode, type Failure } from '@tussah/protocol/errors';

const again = 'Ask again.';
const update = 'Update the client; if it is current, tell the operator.';
const other = 'Ask again; if it comes back, use another coordinator.';
/** Somebody between lies: with no remedy on this side but to leave. */
const distrust =
  'Do not use this coordinator until its operator has explained it. Nothing was shown as whole.';

const entry = (message: string, remedy: string) => ({ message, remedy });

export const privateFailures = {
  // Asking.
  other_tier: entry(
    'This client asks in the private tier only, and the request names another one.',
    'Leave tussah.tier out, or ask for a public answer by other means.',
  ),
  request_too_large: entry('The request is too large to be sealed.', 'Shorten the messages.'),
  unreachable: entry(
    'The coordinator could not be reached.',
    'Check the connection and the address, then ask again.',
  ),
  unreadable_answer: entry('The coordinator sent something this client does not understand.', update),
  heads_unavailable: entry(
    "The memory of the directory's heads can't be read or written, so that a rollback would go unseen.",
    'Make the storage of this client readable and writable, or begin with an empty one.',
  ),

  // The directory.
  coordinator_changed: entry(
    'The directory is signed by another key than before.',
    'Ask the operator whether the coordinator has a new key; if so, remove the remembered head and pin the new key.',
  ),
  directory_rolled_back: entry('The directory is older than one that was shown before.', distrust),
  directory_forked: entry('The directory does not go on from the one that was shown before.', distrust),
  directory_stale: entry(
    "The directory's head is more than five minutes away from this machine's clock.",
    "Set this machine's clock; if it is right, ask again later.",
  ),
  directory_forged: entry('The directory shows what its signed head does not prove.', distrust),

  // Choosing.
  model_not_in_policy: entry(
    'The policy names no digest for this model, so that no node could prove to serve it.',
    'Give a policy that names the model and the images you trust (attestation/README.md, Policies).',
  ),
  no_node: entry(
    'No confidential machine offers this model now.',
    'Try later, or choose another model. The question was not sent.',
  ),
  price_too_high: entry(
    'No node would answer for at most the price allowed. The question was not sent.',
    'Raise tussah.maxPriceNano or lower max_tokens.',
  ),
  context_length_exceeded: entry(
    'No node has a context for this prompt and the tokens asked for. The question was not sent.',
    'Shorten the messages or lower max_tokens.',
  ),
  bundle_unavailable: entry('The coordinator lists a node and does not show its evidence.', other),
  bundle_forged: entry("A node's evidence is not what its name says.", distrust),
  evidence_rejected: entry(
    'The policy rejects the evidence of the nodes that offer this model. The question was not sent.',
    'Look at the failed steps: each has its remedy.',
  ),
  offer_forged: entry('An offer is not signed by the machine whose evidence it presents.', distrust),

  // Nodes' refusals, signed.
  key_rotated: entry('The nodes chosen have changed their keys since.', again),
  expired: entry('The job reached the node too late.', "Set this machine's clock, then ask again."),
  too_far_ahead: entry("The job is from the node's future.", "Set this machine's clock, then ask again."),
  replayed: entry('The node has seen this job before: somebody has sent it twice.', again),
  header_mismatch: entry(
    'The node is not what the request says, or the request was changed on the way.',
    distrust,
  ),
  busy: entry('All nodes chosen are busy. Nothing was charged.', 'Try again shortly.'),
  unopenable: entry('The request was changed on the way: the node could not open it.', distrust),
  unsupported: entry(
    "The node's engine can't do what was asked.",
    'Leave out what is unusual about the request.',
  ),
  too_long: entry(
    'The prompt does not fit the context of the node.',
    'Shorten the messages or lower max_tokens.',
  ),
  cancelled: entry('The job was called off on its way to the node, and not by this client.', distrust),
  draining: entry('The nodes chosen are about to stop.', again),
  nodes_left: entry('The nodes chosen have left the directory.', again),

  // The answer.
  order_ignored: entry(
    'The coordinator passed by a node without proof that it could not take the job.',
    distrust,
  ),
  plaintext_answer: entry(
    'The answer is not sealed: it comes from nobody who could read the question.',
    distrust,
  ),
  chunk_forged: entry('A piece of the answer is not from the node that was verified.', distrust),
  chunk_out_of_order: entry('Pieces of the answer are missing, doubled or in the wrong order.', distrust),
  answer_too_long: entry(
    'The node sends more text than the tokens asked for can be.',
    "Ask again, and tell the policy's author which image it was.",
  ),
  truncated: entry('The answer broke off before its end.', 'Check the connection, then ask again.'),
  timed_out: entry('Nothing came for too long.', again),
  upstream_failed: entry("The node's engine failed.", again),

  // The receipt.
  receipt_missing: entry(
    'The answer is whole, and its receipt did not come.',
    'Fetch it: GET /v1/receipts?job= with the job id.',
  ),
  receipt_mismatch: entry(
    'The receipt does not agree with the answer that came: the charge may be wrong.',
    'Keep the receipt and show it to the operator.',
  ),
} as const;

export type PrivateFailureCode = keyof typeof privateFailures;

/** `detail`, about what exactly was wrong, goes behind the general sentence. Never a word of a prompt or answer. */
export function privateFailure(
  code: PrivateFailureCode,
  detail?: string,
  param?: string,
): Failure<PrivateFailureCode> {
  const { message, remedy } = privateFailures[code];
  const whole = detail === undefined ? message : `${message} (${detail})`;
  return { code, message: whole, remedy, ...(param === undefined ? {} : { param }) };
}

/**
 * What a coordinator's code means (`@tussah/protocol/errors`). Its sentences are not shown: people follow what a private client tells
 * them, and it could write anything there, such as an answer, or advice to ask in the clear.
 */
export const inOurWords = (code: string): Failure =>
  isErrorCode(code)
    ? failure(code)
    : failure('internal', 'The coordinator refused for a reason that this client does not know.');

export const refusedWith = (code: PrivateFailureCode, detail?: string) => fail(privateFailure(code, detail));
