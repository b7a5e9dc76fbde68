/**
 * The errors a person or program can meet, each with a stable code, a sentence and the remedy.
 * HTTP bodies have OpenAI's shape: `{ error: { message, type, param, code, remedy } }`.
 */
import * as v from 'valibot';

interface ErrorKind {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly remedy: string;
}

const kind = (status: number, type: string, message: string, remedy: string): ErrorKind => ({
  status,
  type,
  message,
  remedy,
});

const invalid = 'invalid_request_error';

export const errorKinds = {
  invalid_json: kind(400, invalid, 'The body is not valid JSON.', 'Send one JSON object in UTF-8.'),
  invalid_request: kind(
    400,
    invalid,
    'The request does not have the expected shape.',
    'Compare it with /openapi.json.',
  ),
  unsupported_parameter: kind(
    400,
    invalid,
    'This parameter cannot be honoured for this model.',
    'Leave the parameter out, or choose a model that lists it among its capabilities in /v1/models.',
  ),
  context_length_exceeded: kind(
    400,
    invalid,
    'The prompt and the tokens asked for do not fit the context of this model.',
    'Shorten the messages, lower max_tokens, or choose a model with a longer context.',
  ),
  unsupported_media_type: kind(
    415,
    invalid,
    'The content type is not supported.',
    'Send content-type: application/json.',
  ),
  body_too_large: kind(
    413,
    invalid,
    'The request is larger than this coordinator accepts.',
    'Send less than 1 MiB.',
  ),
  headers_too_large: kind(
    431,
    invalid,
    'The request headers are too large.',
    'Send fewer or shorter headers.',
  ),
  invalid_api_key: kind(
    401,
    'authentication_error',
    'This API key is not known here.',
    'Check the key, or send no key at all to ask as a guest.',
  ),
  api_key_revoked: kind(
    401,
    'authentication_error',
    'This API key was revoked.',
    'Create a new key with `npm run coordinator -- keys create`.',
  ),
  forbidden: kind(403, 'permission_error', 'This is not allowed.', 'Use credentials that allow it.'),
  model_not_found: kind(
    404,
    invalid,
    'There is no such model in the catalogue.',
    'Choose an id listed by /v1/models.',
  ),
  receipt_not_found: kind(
    404,
    invalid,
    'There is no such receipt.',
    'Check the id; it begins with rcp_, or after ?job= with job_.',
  ),
  not_found: kind(404, invalid, 'There is nothing at this address.', 'See /openapi.json for what there is.'),
  method_not_allowed: kind(
    405,
    invalid,
    'This address does not accept this method.',
    'See /openapi.json for the methods.',
  ),
  request_timeout: kind(
    408,
    invalid,
    'The request did not arrive in time.',
    'Send it again, without long pauses.',
  ),
  job_unknown: kind(
    404,
    invalid,
    'No job with this id can be resumed here: it is not known, of another account, or was settled without its end.',
    'Ask again without tussah.resume.',
  ),
  resume_mismatch: kind(
    409,
    invalid,
    'The request or the token ids are not those of this job.',
    'Send the very same request, with all token ids received so far; or ask again without tussah.resume.',
  ),
  idempotency_key_reused: kind(
    422,
    invalid,
    'This Idempotency-Key was used for a different request.',
    'Use a new key for a new request.',
  ),
  idempotency_result_expired: kind(
    409,
    invalid,
    'This Idempotency-Key was used before and its answer is no longer kept; it was charged once.',
    'Send the request with a new key if you want a new answer.',
  ),
  insufficient_balance: kind(
    402,
    'insufficient_quota',
    'The balance of this account does not cover the reservation for this request.',
    'Add credit, or lower max_tokens.',
  ),
  price_too_high: kind(
    402,
    'insufficient_quota',
    'The request could cost more than the maxPriceNano it names.',
    'Raise tussah.maxPriceNano or lower max_tokens.',
  ),
  guest_budget_exhausted: kind(
    429,
    'insufficient_quota',
    'The money set aside for guests is used up for now.',
    'Try later, or use an API key with its own balance.',
  ),
  rate_limited: kind(
    429,
    'rate_limit_error',
    'Too many requests at once.',
    'Wait for the number of seconds in Retry-After.',
  ),
  queue_full: kind(
    503,
    'server_error',
    'The queue for this model is full. Nothing was charged.',
    'Try again shortly, or choose another model.',
  ),
  no_contributor: kind(
    503,
    'server_error',
    'No contributor served this model within the time allowed. Nothing was charged.',
    'Try again, raise tussah.maxWaitMs, or choose a model that /v1/network shows as ready.',
  ),
  tier_unavailable: kind(
    503,
    'server_error',
    'This tier is not available here. The request was not moved to another tier.',
    'Choose a tier that /v1/network lists.',
  ),
  private_must_be_sealed: kind(
    400,
    invalid,
    'The private tier takes sealed requests only. This one was neither read further nor moved to another tier.',
    'Use the SDK or the local proxy, which verify a confidential machine and seal the request to it.',
  ),
  header_expired: kind(
    400,
    invalid,
    'The end that the sealed header names has passed, or lies too far ahead.',
    'Seal the request anew, with notAfterMs at most ten minutes ahead; check the clock.',
  ),
  header_mismatch: kind(
    400,
    invalid,
    'The sealed header names another model, model digest or suite than its candidates have.',
    'Seal the request anew, by what the evidence of the candidates says.',
  ),
  candidate_unknown: kind(
    409,
    invalid,
    'A candidate of this request is not in the directory.',
    'Fetch /v1/nodes once more, verify, and seal the request anew.',
  ),
  job_known: kind(
    409,
    invalid,
    'This job id was used before.',
    'Draw a new job id and seal the request anew.',
  ),
  bundle_not_found: kind(
    404,
    invalid,
    'No node in the directory has this bundle now.',
    'Fetch /v1/nodes once more.',
  ),
  node_busy: kind(
    503,
    'server_error',
    'The node whose turn it is has as much to do as it takes. Nothing was charged.',
    'Seal the request anew, to other candidates.',
  ),
  no_candidate: kind(
    503,
    'server_error',
    'No candidate took this job: each refused it or has left. Nothing was charged.',
    'Look at the refusals; fetch /v1/nodes once more, verify, and seal the request anew.',
  ),
  node_lost: kind(
    502,
    'server_error',
    'The node was lost before it signed its receipt. Nothing was charged.',
    'Seal a continuation to other candidates.',
  ),
  node_misbehaved: kind(
    502,
    'server_error',
    'The node broke the protocol and was sent away. Nothing was charged.',
    'Seal a continuation to other candidates.',
  ),
  contributor_failed: kind(
    502,
    'server_error',
    'The contributors that took this job failed. Only what you received was charged.',
    'Send the request again.',
  ),
  client_gone: kind(
    499,
    'server_error',
    'The client closed the connection before the end.',
    'Send the request again, with an Idempotency-Key if it may be repeated.',
  ),
  shutting_down: kind(
    503,
    'server_error',
    'This coordinator is shutting down.',
    'Try again in a few seconds.',
  ),
  coordinator_restarted: kind(
    503,
    'server_error',
    'The answer was cut by a restart of the coordinator. Only what was delivered is charged.',
    'Resume it with tussah.resume if the request was resumable; else ask again.',
  ),
  store_failed: kind(
    503,
    'server_error',
    'The books could not be written, so the job was not completed. At most what you received is charged.',
    'Try again; the operator should look at the disk and the log.',
  ),
  internal: kind(
    500,
    'server_error',
    'Something failed on our side.',
    'Try again; report the request id if it happens again.',
  ),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorKinds, code);

/** An expected failure as a value; it crosses workers, sockets and process borders as data. */
export interface Failure<Code extends string = string> {
  readonly code: Code;
  readonly message: string;
  readonly remedy: string;
  /** The request field at fault. */
  readonly param?: string;
}

export const FailureSchema = v.object({
  code: v.string(),
  message: v.string(),
  remedy: v.string(),
  param: v.optional(v.string()),
});

/** Makes the failure of a known kind; `detail` replaces the general sentence by a more exact one. */
export function failure(code: ErrorCode, detail?: string, param?: string): Failure<ErrorCode> {
  const { message, remedy } = errorKinds[code];
  return { code, message: detail ?? message, remedy, ...(param === undefined ? {} : { param }) };
}

export const ErrorBodySchema = v.object({
  error: v.object({
    message: v.string(),
    type: v.string(),
    param: v.nullable(v.string()),
    code: v.string(),
    remedy: v.string(),
  }),
});
export type ErrorBody = v.InferOutput<typeof ErrorBodySchema>;

/** OpenAI's error body for a failure. */
export function errorBody(failed: Failure): ErrorBody {
  const type = isErrorCode(failed.code) ? errorKinds[failed.code].type : 'server_error';
  const { message, code, remedy } = failed;
  return { error: { message, type, param: failed.param ?? null, code, remedy } };
}

export type Result<Value, Code extends string = string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly failure: Failure<Code> };

export const ok = <Value>(value: Value): { readonly ok: true; readonly value: Value } => ({
  ok: true,
  value,
});
export const fail = <Code extends string>(
  failed: Failure<Code>,
): { readonly ok: false; readonly failure: Failure<Code> } => ({ ok: false, failure: failed });
