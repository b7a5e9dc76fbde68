/**
 * Known answers with all intermediate values, from fixed keys and fixed draws: `make-vectors.ts` writes them to vectors.json. The same in
 * browsers and in Node. Bytes are hexadecimal, but base64 where they are on the wire. These keys are public: use them for nothing else.
 */
import { hpkeInfo } from '@tussah/attestation/binding/statement';
import { hexOf, sha256Hex } from '@tussah/protocol/bytes';
import { canonicalText, type Canonical } from '@tussah/protocol/canonical';
import { bytesOfBase64 } from '@tussah/protocol/private/base64';
import { signPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import type { DirectoryEntry } from '@tussah/protocol/private/directory';
import { entryText } from '@tussah/protocol/private/directory-heads';
import { suiteNames, type SealedHeader, type SuiteName } from '@tussah/protocol/private/header';
import type { ChunkPayload } from '@tussah/protocol/private/inner-request';
import { MerkleLog } from '@tussah/protocol/private/merkle';
import { signHead, signNodeReceipt, signOffer, signRefusal } from '@tussah/protocol/private/sign-statements';
import type { NodeOffer, NodeReceipt, NodeRefusal } from '@tussah/protocol/private/statements';
import { domains, type Identity } from '@tussah/protocol/signatures';
import {
  bodyAad,
  chunkAad,
  joined,
  keyInfo,
  nonceInfo,
  ownHex,
  responseContext,
  wrapAad,
  type Bytes,
} from './labels.ts';
import { chunkPlaintextBytes, encodeChunk, encodeInner, payloadBytes } from './padding.ts';
import { newResponseSealer, responseSecretOf } from './response.ts';
import { innerOf } from './sealing-fixture.ts';
import { sealWith } from './seal-request.ts';
import { nodeKeysFrom, pairOf, suites, type NodeKeys } from './suites.ts';

/** Bytes that anybody can make again: SHA-256 over a name. */
const fixed = (name: string): Bytes => ownHex(sha256Hex(`tussah test vector: ${name}`));
/** In January 2027. */
const AT_MS = 1_800_000_000_000;
/** The candidate that answers. */
const ANSWERING = 1;
const end = { finishReason: 'stop', promptTokens: 31, completionTokens: 6 } as const;

export async function makeKnownAnswers() {
  const coordinator = await fixedIdentity('coordinator');
  const receiptKey = await fixedIdentity('receipt key');
  const sealed = await Promise.all(suiteNames.map(sealedVector));
  const [first] = sealed;
  if (first === undefined) throw new Error('there are suites');
  return {
    sealed,
    statements: await statementVectors(coordinator, receiptKey, first),
    directory: await directoryVector(coordinator, receiptKey),
  };
}

export type KnownAnswers = Awaited<ReturnType<typeof makeKnownAnswers>>;

async function sealedVector(suite: SuiteName) {
  const nodes = await Promise.all([0, 1, 2].map((i) => fixedNode(suite, i)));
  const jobId = 'job_0123456789abcdefghjkmnpq';
  const header: SealedHeader = {
    version: 1,
    suite,
    jobId,
    model: 'tiny',
    modelDigest: hexOf(fixed('model')),
    maxPromptTokens: 512,
    maxTokens: 64,
    maxPriceNano: '1000000',
    padding: 'buckets',
    notAfterMs: AT_MS + 600_000,
    candidates: nodes.map(({ name }) => name),
  };
  const inner = innerOf('What is a tussah? — Был мотылёк. 🦋', jobId);
  const bodyKey = fixed('body key');
  const ekm = nodes.map(({ ekm }) => ekm);
  const { request, headerHash, responses } = await sealWith(
    {
      header,
      inner,
      recipients: nodes.map(({ bundle, keys }) => ({ bundle, hpkePublicKey: keys.publicKey })),
    },
    { bodyKey: bodyKey.slice(), ekm },
  );
  const node = nodes[ANSWERING];
  const enc = bytesOfBase64(request.wraps[ANSWERING]?.enc ?? '', 2_000);
  if (node === undefined || enc === undefined || responses.length !== nodes.length)
    throw new Error('three were sealed to');
  return {
    suite,
    nodes: nodes.map(({ keys, secret, bundle, name, info }) => ({
      secretKey: secret,
      publicKey: keys.publicKey,
      bundle,
      name,
      info,
    })),
    headerText: canonicalText(header),
    headerHash,
    inner,
    innerBytes: hexOf(encodeInner(inner) ?? new Uint8Array()),
    bodyKey: hexOf(bodyKey),
    bodyAad: hexOf(bodyAad(headerHash)),
    wrapAad: hexOf(wrapAad(headerHash)),
    ekm: ekm.map(hexOf),
    request,
    answer: await answerVector(node.keys, { info: ownHex(node.info), enc, headerHash }),
  };
}

async function fixedNode(suite: SuiteName, i: number) {
  const secret = fixed(`${suite} ${i}`);
  const keys = await nodeKeysFrom(suite, secret.slice());
  // Only its text counts here: it would not verify.
  const bundle = JSON.stringify({ version: 1, statement: { suite, hpkePublicKey: keys.publicKey } });
  const info = await hpkeInfo(bundle);
  const ekm = joined(fixed(`ekm ${i}`), ...(suite.startsWith('xwing') ? [fixed(`ekm ${i} too`)] : []));
  return { keys, secret: hexOf(secret), bundle, name: sha256Hex(bundle), info: hexOf(info), ekm };
}

interface Answering {
  readonly info: Bytes;
  readonly enc: Bytes;
  readonly headerHash: string;
}

async function answerVector(keys: NodeKeys, { info, enc, headerHash }: Answering) {
  const context = await suites[keys.suite].createRecipientContext({
    recipientKey: await pairOf(keys),
    enc,
    info,
  });
  const secret = new Uint8Array(await context.export(responseContext(headerHash).buffer, 32));
  const responseNonce = hexOf(fixed('response nonce'));
  const prk = await hmac(joined(enc, ownHex(responseNonce)), secret);
  const sealer = await newResponseSealer(await responseSecretOf(context, headerHash, enc), responseNonce);
  const payloads: readonly ChunkPayload[] = [{ text: 'A moth' }, {}, { text: ' of “silk”.\n', end }, {}];
  const chunks = [];
  for (const [i, payload] of payloads.entries()) {
    const size = chunkPlaintextBytes('buckets', payloadBytes(payload));
    const last = i === payloads.length - 1;
    const { index, data } = await sealer.seal(payload, size, last);
    chunks.push({ payload, plaintext: hexOf(encodeChunk(payload, size)), index, data, last });
  }
  return {
    candidate: ANSWERING,
    secret: hexOf(secret),
    responseNonce,
    prk: hexOf(prk),
    key: hexOf(await hmac(prk, joined(keyInfo, Uint8Array.of(1)))),
    iv: hexOf((await hmac(prk, joined(nonceInfo, Uint8Array.of(1)))).subarray(0, 12)),
    /** Without the byte that marks the last. */
    chunkAad: hexOf(chunkAad(headerHash)),
    chunks,
    transcript: sealer.transcript(),
  };
}

async function hmac(key: Bytes, data: Bytes): Promise<Bytes> {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, data));
}

/** RFC 8410, section 7: before the 32 bytes of an Ed25519 private key. */
const pkcs8Prefix = ownHex('302e020100300506032b657004220420');

async function fixedIdentity(name: string): Promise<Identity> {
  const pkcs8 = joined(pkcs8Prefix, fixed(name));
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
  const { x = '' } = await crypto.subtle.exportKey('jwk', privateKey);
  const base64 = x.replaceAll('-', '+').replaceAll('_', '/');
  return { publicKey: hexOf(bytesOfBase64(`${base64}=`, 32) ?? new Uint8Array()), privateKey };
}

const price = { promptNanoPerMillion: '50000000', completionNanoPerMillion: '200000000' };

const offerOf = (coordinator: string, bundle: string): NodeOffer => ({
  coordinator,
  identity: hexOf(fixed('identity')),
  bundle,
  epochNonce: hexOf(fixed('epoch nonce')),
  model: 'tiny',
  price,
  contextTokens: 4_096,
  concurrency: 8,
});

type SealedVector = Awaited<ReturnType<typeof sealedVector>>;

async function statementVectors(coordinator: Identity, receiptKey: Identity, sealed: SealedVector) {
  const { request, headerHash, answer } = sealed;
  const [bundle = ''] = request.header.candidates.slice(answer.candidate);
  const { jobId, model } = request.header;
  const offer = offerOf(coordinator.publicKey, bundle);
  const refusal: NodeRefusal = { jobId, headerHash, bundle, code: 'busy', atMs: AT_MS };
  const receipt: NodeReceipt = {
    version: 1,
    jobId,
    headerHash,
    bundle,
    identity: offer.identity,
    model,
    outcome: 'complete',
    promptTokens: end.promptTokens,
    completionTokens: end.completionTokens,
    price,
    chunks: answer.chunks.length,
    transcript: answer.transcript,
    atMs: AT_MS + 1_000,
  };
  const node = await signNodeReceipt(receiptKey, receipt);
  const { signature, ...body } = await signPrivateReceipt(coordinator, {
    version: 1,
    id: 'rcp_0123456789abcdefghjkmnpq',
    createdAtMs: AT_MS + 2_000,
    tier: 'private',
    payer: `acct_${'0'.repeat(24)}`,
    node,
    receiptKey: receiptKey.publicKey,
    heldNano: '1000000',
    // 31 x 50 + 6 x 200 nanoTON; the fee is 5 % of it, rounded down.
    chargedNano: '2750',
    networkFeeBasisPoints: 500,
    networkFeeNano: '137',
    payNano: '2613',
    coordinator: coordinator.publicKey,
  });
  const stated = (domain: string, value: unknown, publicKey: string, signature: string) => ({
    domain,
    publicKey,
    text: canonicalText(value as Canonical),
    signature,
  });
  return [
    stated(domains.nodeOffer, offer, receiptKey.publicKey, await signOffer(receiptKey, offer)),
    stated(
      domains.nodeRefusal,
      refusal,
      receiptKey.publicKey,
      (await signRefusal(receiptKey, refusal)).signature,
    ),
    stated(domains.nodeReceipt, receipt, receiptKey.publicKey, node.signature),
    stated(domains.receipt, body, coordinator.publicKey, signature),
  ];
}

async function directoryVector(coordinator: Identity, receiptKey: Identity) {
  const log = new MerkleLog();
  const entries: string[] = [];
  for (let i = 0; i < 5; i++) {
    const bundle = hexOf(fixed(`bundle ${i >> 1}`));
    const offer = offerOf(coordinator.publicKey, bundle);
    const atMs = AT_MS + i * 1_000;
    const entry: DirectoryEntry =
      i % 2 === 0
        ? { kind: 'joined', atMs, bundle, offer, signature: await signOffer(receiptKey, offer) }
        : { kind: 'left', atMs, bundle, reason: 'drained' };
    entries.push(entryText(entry));
    log.append(entryText(entry));
  }
  const sizes = Array.from({ length: entries.length + 1 }, (_, size) => size);
  const heads = await Promise.all(
    sizes.map((size) =>
      signHead(coordinator, { size, rootHash: log.rootHash(size), atMs: AT_MS + size * 1_000 }),
    ),
  );
  return {
    entries,
    heads,
    inclusion: entries.map((_, index) => ({ index, proof: log.inclusionProof(index, entries.length) })),
    consistency: sizes.map((from) => ({ from, proof: log.consistencyProof(from, entries.length) })),
  };
}
