/** Makes an epoch: new keys, evidence that binds them, and the signed offer of what the node sells under them. */
import type { Statement } from '@tussah/attestation/binding/statement';
import { destroyNodeKeys } from '@tussah/client/sealing/suites';
import { sha256Hex } from '@tussah/protocol/bytes';
import { ok, type Result } from '@tussah/protocol/errors';
import type { PriceWire } from '@tussah/protocol/money';
import type { SuiteName } from '@tussah/protocol/private/header';
import type { NodeFrame } from '@tussah/protocol/private/node-frames';
import type { NodeOffer } from '@tussah/protocol/private/statements';
import { domains, sign } from '@tussah/protocol/signatures';
import type { Attester, Upstream } from '../ports.ts';
import { newEpochKeys, type FreshKeys } from './epoch-keys.ts';

/** What the node sells, the same in all epochs. */
export interface Goods {
  readonly suite: SuiteName;
  /** Who is paid. */
  readonly identity: string;
  readonly model: string;
  readonly modelDigest: string;
  readonly price: PriceWire;
  readonly concurrency: number;
  /** How long a bundle is good. */
  readonly lifeMs: number;
}

export interface NewEpoch {
  readonly bundle: string;
  readonly notAfterMs: number;
  readonly keys: FreshKeys;
  readonly contextTokens: number;
  readonly configDigest: string;
  readonly attest: Extract<NodeFrame, { type: 'attest' }>;
}

/** Looks at the upstream first: its configuration is a part of what is attested. */
export async function makeEpoch(
  goods: Goods,
  ports: { readonly attester: Attester; readonly upstream: Upstream; readonly nowMs: number },
  asked: { readonly coordinator: string; readonly epochNonce: string },
): Promise<Result<NewEpoch>> {
  const { suite, identity, model, modelDigest, price, concurrency, lifeMs } = goods;
  const facts = await ports.upstream.identify();
  if (!facts.ok) return facts;
  const { contextTokens, configDigest } = facts.value;
  const keys = await newEpochKeys(suite);
  const statement: Statement = {
    suite,
    hpkePublicKey: keys.hpke.publicKey,
    receiptKey: keys.receipt.publicKey,
    epochNonce: asked.epochNonce,
    image: ports.attester.image,
    modelDigest,
    configDigest,
    notAfterMs: ports.nowMs + lifeMs,
  };
  const text = await ports.attester.attest(statement);
  if (!text.ok) {
    destroyNodeKeys(keys.hpke);
    return text;
  }
  const bundle = sha256Hex(text.value);
  const offer: NodeOffer = { ...asked, identity, bundle, model, price, contextTokens, concurrency };
  const signature = await sign(keys.receipt, domains.nodeOffer, offer);
  const attest = { type: 'attest' as const, bundle: text.value, offer, signature };
  return ok({ bundle, notAfterMs: statement.notAfterMs, keys, contextTokens, configDigest, attest });
}
