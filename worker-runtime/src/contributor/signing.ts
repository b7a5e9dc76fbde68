/** The two statements that a contributor signs: who it is, and what it delivered. */
import { hashOfIds } from '@tussah/protocol/bytes';
import {
  type ContributorFrame,
  helloStatement,
  type JobOffer,
  PROTOCOL,
} from '@tussah/protocol/contributor-frames';
import type { Failure } from '@tussah/protocol/errors';
import { segmentStatement } from '@tussah/protocol/receipts';
import { domains, type Identity, sign } from '@tussah/protocol/signatures';
import type { AnswerEnd } from './session-state.ts';

export type SignedHello = Omit<Extract<ContributorFrame, { type: 'hello' }>, 'resume'>;

/** Proves the key to this coordinator, for this nonce only. Rejects when the browser won't sign. */
export async function signHello(
  identity: Identity,
  challenge: { readonly coordinator: string; readonly nonce: string },
  wallet: string | null,
  agent: string,
): Promise<SignedHello> {
  const { publicKey } = identity;
  const statement = helloStatement(challenge.coordinator, challenge.nonce, publicKey, wallet);
  const signature = await sign(identity, domains.hello, statement);
  return { type: 'hello', protocol: PROTOCOL, publicKey, signature, wallet, agent };
}

/** The signature of a `job-done`. Rejects when the browser won't sign. */
export function signSegment(identity: Identity, offer: JobOffer, end: AnswerEnd): Promise<string> {
  const statement = segmentStatement({
    jobId: offer.jobId,
    contributor: identity.publicKey,
    model: offer.model,
    build: offer.build,
    seedRoot: offer.seedRoot,
    promptHash: hashOfIds(offer.prompt.ids),
    firstPosition: offer.prefix.ids.length,
    tokens: end.tokens,
    idsHash: end.idsHash,
    end: end.finishReason,
  });
  return sign(identity, domains.segment, statement);
}

export const signingFailed: Failure = {
  code: 'signing_failed',
  message: 'The browser would not sign with the contributor’s key.',
  remedy: 'Reload the page; if it goes on, clear this site’s data to get a new key.',
};
