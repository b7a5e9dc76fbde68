/** Seals a request to up to three machines, each of which can open it alone. */
import type { SenderContext } from '@hpke/core';
import { hpkeInfo } from '@tussah/attestation/binding/statement';
import { hexOf } from '@tussah/protocol/bytes';
import { base64OfBytes } from '@tussah/protocol/private/base64';
import {
  headerHashOf,
  type SealedHeader,
  type SealedRequest,
  type SuiteName,
  type Wrap,
} from '@tussah/protocol/private/header';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import { bodyAad, bodyNonce, wrapAad, type Bytes } from './labels.ts';
import { encodeInner } from './padding.ts';
import { newResponseOpener, responseSecretOf, type ResponseOpener } from './response.ts';
import { publicKeyFrom, suites } from './suites.ts';

export interface Recipient {
  /** The bundle's text. */
  readonly bundle: string;
  /** Hexadecimal, out of the verified bundle. */
  readonly hpkePublicKey: string;
}

export interface Sealing {
  readonly header: SealedHeader;
  readonly inner: InnerRequest;
  /** In the order of the header's candidates. */
  readonly recipients: readonly Recipient[];
}

/** What a client keeps of a candidate until one of them answers. */
export interface PendingResponse {
  /** `responseNonce` is 32 bytes in hexadecimal; throws for anything else. */
  open(responseNonce: string): Promise<ResponseOpener>;
}

export interface Sealed {
  readonly request: SealedRequest;
  /** HH, hexadecimal. */
  readonly headerHash: string;
  /** One for each candidate, in order. */
  readonly responses: readonly PendingResponse[];
}

/** What is drawn for a request; fixed only for known answers. */
export interface Draws {
  readonly bodyKey: Bytes;
  /** Of a candidate: for X25519 what its ephemeral key is derived from, for X-Wing the 64 bytes of its encapsulation. */
  readonly ekm?: readonly Bytes[];
}

/**
 * Throws a `RangeError` for what is not sealable: recipients that are not the header's candidates, an inner request that contradicts the
 * header, keys of another suite, a request beyond the size that `fitsSealed` knows.
 */
export const sealRequest = (sealing: Sealing): Promise<Sealed> =>
  sealWith(sealing, { bodyKey: crypto.getRandomValues(new Uint8Array(32)) });

/** The body key is overwritten. */
export async function sealWith({ header, inner, recipients }: Sealing, draws: Draws): Promise<Sealed> {
  const { bodyKey, ekm } = draws;
  try {
    if (recipients.length !== header.candidates.length)
      throw new RangeError('a recipient for each candidate');
    if (inner.jobId !== header.jobId || inner.model !== header.model || inner.maxTokens !== header.maxTokens)
      throw new RangeError('header and request do not agree');
    const headerHash = headerHashOf(header);
    const [body, wraps] = await Promise.all([
      sealBody(bodyKey, headerHash, inner),
      Promise.all(
        recipients.map((recipient, i) =>
          wrapFor(recipient, i, { header, headerHash, bodyKey, ekm: ekm?.[i] }),
        ),
      ),
    ]);
    return {
      request: { header, wraps: wraps.map(({ wrap }) => wrap), body },
      headerHash,
      responses: wraps.map(({ response }) => response),
    };
  } finally {
    bodyKey.fill(0);
  }
}

async function sealBody(bodyKey: Bytes, headerHash: string, inner: InnerRequest): Promise<string> {
  const plaintext = encodeInner(inner);
  if (plaintext === undefined) throw new RangeError('the request is too large');
  const key = await crypto.subtle.importKey('raw', bodyKey, 'AES-GCM', false, ['encrypt']);
  const cipher = { name: 'AES-GCM', iv: bodyNonce(), additionalData: bodyAad(headerHash) };
  return base64OfBytes(new Uint8Array(await crypto.subtle.encrypt(cipher, key, plaintext)));
}

interface Wrapping {
  readonly header: SealedHeader;
  readonly headerHash: string;
  readonly bodyKey: Bytes;
  readonly ekm: Bytes | undefined;
}

async function wrapFor(
  { bundle, hpkePublicKey }: Recipient,
  i: number,
  { header, headerHash, bodyKey, ekm }: Wrapping,
): Promise<{ wrap: Wrap; response: PendingResponse }> {
  const info = await hpkeInfo(bundle);
  if (hexOf(info.subarray(-32)) !== header.candidates[i])
    throw new RangeError('a recipient is not the candidate of its place');
  const context = await contextFor(header.suite, hpkePublicKey, {
    info,
    ...(ekm === undefined ? {} : { ekm }),
  });
  const wrapped = new Uint8Array(await context.seal(bodyKey, wrapAad(headerHash)));
  const enc = new Uint8Array(context.enc);
  const secret = await responseSecretOf(context, headerHash, enc);
  return {
    wrap: { enc: base64OfBytes(enc), wrapped: base64OfBytes(wrapped) },
    response: { open: (responseNonce) => newResponseOpener(secret, responseNonce) },
  };
}

async function contextFor(
  suite: SuiteName,
  hpkePublicKey: string,
  parts: { readonly info: Bytes; readonly ekm?: Bytes },
): Promise<SenderContext> {
  try {
    const recipientPublicKey = await publicKeyFrom(suite, hpkePublicKey);
    return await suites[suite].createSenderContext({ recipientPublicKey, ...parts });
  } catch (cause) {
    // Even a key of the right length may be none: a point of low order, or beyond the modulus.
    throw new RangeError('a public key is none of this suite', { cause });
  }
}
