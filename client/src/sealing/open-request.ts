/** Opens a sealed request on a node. What comes in was written by anybody, and may have been changed by the coordinator. */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { bytesOfBase64 } from '@tussah/protocol/private/base64';
import { headerHashOf, type SealedHeader, type Wrap } from '@tussah/protocol/private/header';
import { InnerRequestSchema, type InnerRequest } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { RefusalCode } from '@tussah/protocol/private/statements';
import * as v from 'valibot';
import { bodyAad, bodyNonce, hpkeInfoOf, wrapAad, type Bytes } from './labels.ts';
import { decodeInner } from './padding.ts';
import { newResponseSealer, responseSecretOf, type ResponseSealer, type ResponseSecret } from './response.ts';
import { pairOf, suites, type NodeKeys } from './suites.ts';

/** A sealed offer that its schema has let through, and the keys that it should be for. */
export interface Opening {
  readonly header: SealedHeader;
  /** This node's place among the candidates. */
  readonly candidate: number;
  readonly wrap: Wrap;
  /** Base64. */
  readonly body: string;
  readonly keys: NodeKeys;
  /** Name of the bundle that has these keys: SHA-256 of its text, hexadecimal. */
  readonly bundle: string;
}

export interface Opened {
  readonly inner: InnerRequest;
  /** HH, hexadecimal. */
  readonly headerHash: string;
  /** `responseNonce` is 32 random bytes in hexadecimal, drawn for this job. Rejects when asked again: a job has one answer. */
  readonly sealer: (responseNonce: string) => Promise<ResponseSealer>;
}

/**
 * Of the node's checks only those that need keys, and those without which keys mean nothing: that the bundle is its own, its suite, that
 * everything opens and that inside and outside agree. Why something does not open is not told.
 */
export async function openRequest(opening: Opening): Promise<Result<Opened, RefusalCode>> {
  const { header, candidate, keys, bundle } = opening;
  if (header.candidates[candidate] !== bundle) return refuse('key_rotated');
  if (header.suite !== keys.suite) return refuse('header_mismatch');
  const headerHash = headerHashOf(header);
  const unwrapped = await unwrap(opening, headerHash).catch(() => undefined);
  if (unwrapped === undefined) return refuse('unopenable');
  const inner = await openBody(opening.body, unwrapped.bodyKey, headerHash);
  if (inner === undefined) return refuse('unopenable');
  if (inner.jobId !== header.jobId || inner.model !== header.model || inner.maxTokens !== header.maxTokens)
    return refuse('header_mismatch');
  return ok({ inner, headerHash, sealer: onceOnly(unwrapped.secret) });
}

/** Two answers under one nonce would have the same keys, which AES-GCM does not forgive. */
function onceOnly(secret: ResponseSecret): Opened['sealer'] {
  let used = false;
  return async (responseNonce) => {
    if (used) throw new Error('a job is answered once');
    used = true;
    return newResponseSealer(secret, responseNonce);
  };
}

interface Unwrapped {
  readonly bodyKey: Bytes;
  readonly secret: ResponseSecret;
}

/** Rejects or gives nothing when the wrap is not for these keys, this bundle and this header. */
async function unwrap({ wrap, keys, bundle }: Opening, headerHash: string): Promise<Unwrapped | undefined> {
  const suite = suites[keys.suite];
  const enc = bytesOfBase64(wrap.enc, suite.kem.encSize);
  const wrapped = bytesOfBase64(wrap.wrapped, 48);
  if (enc?.length !== suite.kem.encSize || wrapped?.length !== 48) return undefined;
  const context = await suite.createRecipientContext({
    recipientKey: await pairOf(keys),
    enc,
    info: hpkeInfoOf(bundle),
  });
  const bodyKey = new Uint8Array(await context.open(wrapped, wrapAad(headerHash)));
  return { bodyKey, secret: await responseSecretOf(context, headerHash, enc) };
}

/** Overwrites the body key. */
async function openBody(text: string, bodyKey: Bytes, headerHash: string): Promise<InnerRequest | undefined> {
  try {
    const body = bytesOfBase64(text, privateLimits.bodyBytes);
    if (body === undefined) return undefined;
    const key = await crypto.subtle.importKey('raw', bodyKey, 'AES-GCM', false, ['decrypt']);
    const cipher = { name: 'AES-GCM', iv: bodyNonce(), additionalData: bodyAad(headerHash) };
    const plaintext = new Uint8Array(await crypto.subtle.decrypt(cipher, key, body));
    const parsed = v.safeParse(InnerRequestSchema, decodeInner(plaintext));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  } finally {
    bodyKey.fill(0);
  }
}

const sentences = {
  key_rotated: 'The job is not sealed to this key.',
  header_mismatch: 'The job is for another suite, or its header says something else than what is sealed.',
  unopenable: 'The job does not open.',
} as const satisfies Partial<Record<RefusalCode, string>>;

const refuse = (code: keyof typeof sentences): Result<never, RefusalCode> =>
  fail({ code, message: sentences[code], remedy: 'Fetch the list of nodes, verify, and seal anew.' });
