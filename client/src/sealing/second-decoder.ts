/**
 * A second reader of sealed requests, answers, statements and directories, written from docs/private-tier.md and the RFCs alone, on Node's
 * own cryptography. It shares no code with the first and exists to disagree with it. Anything wrong throws.
 */
import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  verify,
} from 'node:crypto';

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');
const unhex = (text: string): Buffer => Buffer.from(text, 'hex');
const unbase64 = (text: string): Buffer => Buffer.from(text, 'base64');
const u8 = (n: number): Buffer => Buffer.from([n]);
const u16 = (n: number): Buffer => Buffer.from([n >> 8, n & 255]);
const u32 = (n: number): Buffer => Buffer.from([n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255]);
const concat = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const hash = (...parts: readonly Buffer[]): Buffer =>
  createHash('sha256')
    .update(concat(...parts))
    .digest();

function insist(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}

// RFC 5869.

const hkdfExtract = (salt: Buffer, secret: Buffer): Buffer =>
  createHmac('sha256', salt).update(secret).digest();

function hkdfExpand(prk: Buffer, info: Buffer, length: number): Buffer {
  let block: Buffer = Buffer.alloc(0);
  let all: Buffer = Buffer.alloc(0);
  for (let i = 1; all.length < length; i++) {
    block = createHmac('sha256', prk)
      .update(concat(block, info, u8(i)))
      .digest();
    all = concat(all, block);
  }
  return all.subarray(0, length);
}

// RFC 9180, section 4.

const labeledExtract = (suiteId: Buffer, salt: Buffer, label: string, secret: Buffer): Buffer =>
  hkdfExtract(salt, concat(ascii('HPKE-v1'), suiteId, ascii(label), secret));

const labeledExpand = (suiteId: Buffer, prk: Buffer, label: string, info: Buffer, length: number): Buffer =>
  hkdfExpand(prk, concat(u16(length), ascii('HPKE-v1'), suiteId, ascii(label), info), length);

const none = Buffer.alloc(0);

// KEMs: the shared secret of an encapsulated key.

/** RFC 8410: the fixed bytes before a raw key of X25519. */
const x25519Private = (raw: Buffer) =>
  createPrivateKey({
    key: concat(unhex('302e020100300506032b656e04220420'), raw),
    format: 'der',
    type: 'pkcs8',
  });
const x25519Public = (raw: Buffer) =>
  createPublicKey({ key: concat(unhex('302a300506032b656e032100'), raw), format: 'der', type: 'spki' });

const x25519 = (secret: Buffer, point: Buffer): Buffer =>
  diffieHellman({ privateKey: x25519Private(secret), publicKey: x25519Public(point) });

const x25519PublicOf = (secret: Buffer): Buffer =>
  createPublicKey(x25519Private(secret)).export({ format: 'der', type: 'spki' }).subarray(-32);

/** RFC 9180, section 4.1. */
function dhkemDecap(enc: Buffer, secretKey: Buffer): Buffer {
  const suiteId = concat(ascii('KEM'), u16(0x0020));
  const prk = labeledExtract(suiteId, none, 'eae_prk', x25519(secretKey, enc));
  return labeledExpand(suiteId, prk, 'shared_secret', concat(enc, x25519PublicOf(secretKey)), 32);
}

/** draft-connolly-cfrg-xwing-kem, section 5.4. */
function xwingDecap(enc: Buffer, seed: Buffer): Buffer {
  const expanded = createHash('shake256', { outputLength: 96 }).update(seed).digest();
  // RFC 9935: ML-KEM-768 by its seed d | z.
  const key = concat(unhex('3054020100300b060960864801650304040204428040'), expanded.subarray(0, 64));
  const mlKem = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  const secretX = expanded.subarray(64);
  const encX = enc.subarray(1_088);
  return createHash('sha3-256')
    .update(decapsulate(mlKem, enc.subarray(0, 1_088)))
    .update(x25519(secretX, encX))
    .update(encX)
    .update(x25519PublicOf(secretX))
    .update(ascii('\\.//^\\'))
    .digest();
}

const kems: Readonly<Record<string, { id: number; decap: (enc: Buffer, secretKey: Buffer) => Buffer }>> = {
  'xwing-hkdf-sha256-aes256gcm': { id: 0x647a, decap: xwingDecap },
  'x25519-hkdf-sha256-aes256gcm': { id: 0x0020, decap: dhkemDecap },
};

function openAes(key: Buffer, nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-16));
  return concat(decipher.update(sealed.subarray(0, -16)), decipher.final());
}

/** `u16 or u32(length) | JSON | zeros`. */
function unpad(bytes: Buffer, prefix: 2 | 4): unknown {
  const end = prefix + bytes.readUIntBE(0, prefix);
  insist(
    end <= bytes.length && bytes.subarray(end).every((byte) => byte === 0),
    'not padded as it should be',
  );
  return JSON.parse(bytes.toString('utf8', prefix, end)) as unknown;
}

/** RFC 8785 for what the specification allows. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}

export interface Request {
  readonly header: { readonly suite: string; readonly candidates: readonly string[] };
  readonly wraps: readonly { readonly enc: string; readonly wrapped: string }[];
  readonly body: string;
}

export interface Decoded {
  readonly headerHash: string;
  readonly bodyKey: string;
  readonly inner: unknown;
  /** The response secret. */
  readonly secret: string;
}

/** Opens a request as the candidate with this bundle text and private key (for X-Wing its seed), hexadecimal. */
export function decodeRequest(request: Request, bundle: string, secretKey: string): Decoded {
  const { header, wraps, body } = request;
  const bundleHash = hash(Buffer.from(bundle));
  const { enc, wrapped } = wraps[header.candidates.indexOf(bundleHash.toString('hex'))] ?? {};
  const kem = kems[header.suite];
  insist(kem !== undefined && enc !== undefined && wrapped !== undefined, 'not for this bundle');
  const headerHash = hash(Buffer.from(`tussah-header/1\n${canonical(header)}`));

  // RFC 9180, section 5.1, mode_base.
  const suiteId = concat(ascii('HPKE'), u16(kem.id), u16(0x0001), u16(0x0002));
  const info = concat(ascii('tussah-tee/1'), bundleHash);
  const context = concat(
    u8(0),
    labeledExtract(suiteId, none, 'psk_id_hash', none),
    labeledExtract(suiteId, none, 'info_hash', info),
  );
  const shared = kem.decap(unbase64(enc), unhex(secretKey));
  const secret = labeledExtract(suiteId, shared, 'secret', none);
  const key = labeledExpand(suiteId, secret, 'key', context, 32);
  const baseNonce = labeledExpand(suiteId, secret, 'base_nonce', context, 12);
  const exporter = labeledExpand(suiteId, secret, 'exp', context, 32);

  const bodyKey = openAes(key, baseNonce, concat(ascii('tussah-wrap/1\n'), headerHash), unbase64(wrapped));
  const bodyAad = concat(ascii('tussah-body/1\n'), headerHash);
  const plaintext = openAes(bodyKey, Buffer.alloc(12), bodyAad, unbase64(body));
  const exported = labeledExpand(
    suiteId,
    exporter,
    'sec',
    concat(ascii('tussah-response/1\n'), headerHash),
    32,
  );
  return {
    headerHash: headerHash.toString('hex'),
    bodyKey: bodyKey.toString('hex'),
    inner: unpad(plaintext, 4),
    secret: exported.toString('hex'),
  };
}

export interface Answer {
  readonly headerHash: string;
  readonly secret: string;
  /** Base64, of the wrap of whoever answered. */
  readonly enc: string;
  readonly responseNonce: string;
  readonly chunks: readonly { readonly index: number; readonly data: string; readonly last: boolean }[];
}

export function decodeAnswer({ headerHash, secret, enc, responseNonce, chunks }: Answer): {
  payloads: unknown[];
  transcript: string;
} {
  const prk = hkdfExtract(concat(unbase64(enc), unhex(responseNonce)), unhex(secret));
  const key = hkdfExpand(prk, ascii('tussah-key/1'), 32);
  const iv = hkdfExpand(prk, ascii('tussah-nonce/1'), 12);
  const payloads = chunks.map(({ index, data, last }, n) => {
    insist(index === n && last === (n === chunks.length - 1), 'out of order');
    const nonce = Buffer.from(iv);
    const number = concat(Buffer.alloc(8), u32(n));
    for (let i = 0; i < 12; i++) nonce[i] = (iv[i] ?? 0) ^ (number[i] ?? 0);
    const aad = concat(ascii('tussah-chunk/1\n'), unhex(headerHash), u8(last ? 1 : 0));
    return unpad(openAes(key, nonce, aad, unbase64(data)), 2);
  });
  const sent = chunks.map(({ data }) => unbase64(data));
  const transcript = hash(...sent.flatMap((chunk) => [u32(chunk.length), chunk]));
  return { payloads, transcript: transcript.toString('hex') };
}

/** Whether a statement is signed by a key, hexadecimal. */
export function isSigned(publicKey: string, domain: string, value: unknown, signature: string): boolean {
  const key = createPublicKey({
    key: concat(unhex('302a300506032b6570032100'), unhex(publicKey)),
    format: 'der',
    type: 'spki',
  });
  return verify(null, Buffer.from(`${domain}\n${canonical(value)}`), key, unhex(signature));
}

// RFC 9162, section 2.1, by its recursive definitions.

export function rootOf(entries: readonly string[]): string {
  return treeHash(entries.map((entry) => hash(u8(0), Buffer.from(entry)))).toString('hex');
}

function treeHash(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return hash();
  if (leaves.length === 1) return first;
  const split = splitOf(leaves.length);
  return hash(u8(1), treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split)));
}

const splitOf = (n: number): number => 2 ** (Math.ceil(Math.log2(n)) - 1);

/** The root that an inclusion proof leads to. */
export function rootFromInclusion(
  entry: string,
  index: number,
  size: number,
  proof: readonly string[],
): string {
  const climb = (m: number, n: number, path: readonly string[]): Buffer => {
    if (n === 1) {
      insist(path.length === 0, 'the proof is too long');
      return hash(u8(0), Buffer.from(entry));
    }
    const last = path.at(-1);
    insist(last !== undefined, 'the proof is too short');
    const split = splitOf(n);
    const rest = path.slice(0, -1);
    return m < split
      ? hash(u8(1), climb(m, split, rest), unhex(last))
      : hash(u8(1), unhex(last), climb(m - split, n - split, rest));
  };
  return climb(index, size, proof).toString('hex');
}

/** The roots of the smaller and of the larger tree that a consistency proof leads to; `fromRoot` is what is known of the smaller. */
export function rootsFromConsistency(
  from: number,
  fromRoot: string,
  to: number,
  proof: readonly string[],
): [string, string] {
  const climb = (m: number, n: number, path: readonly string[], known: boolean): [Buffer, Buffer] => {
    const last = path.at(-1);
    if (m === n) {
      insist(path.length === (known ? 0 : 1), 'the proof has another length');
      const root = unhex(last ?? fromRoot);
      return [root, root];
    }
    insist(last !== undefined, 'the proof is too short');
    const split = splitOf(n);
    const rest = path.slice(0, -1);
    const other = unhex(last);
    if (m <= split) {
      const [small, large] = climb(m, split, rest, known);
      return [small, hash(u8(1), large, other)];
    }
    const [small, large] = climb(m - split, n - split, rest, false);
    return [hash(u8(1), other, small), hash(u8(1), other, large)];
  };
  const [small, large] = climb(from, to, proof, true);
  return [small.toString('hex'), large.toString('hex')];
}
