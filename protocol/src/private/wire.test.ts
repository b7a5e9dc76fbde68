/** What goes over the wire for the private tier: valid values pass, and nothing missing, added or out of bounds does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { entryText } from './directory-heads.ts';
import { DirectoryEntrySchema, NodeListSchema, type DirectoryEntry } from './directory.ts';
import { headerHashOf, SealedHeaderSchema, SealedRequestSchema, type SealedHeader } from './header.ts';
import { ChunkPayloadSchema, InnerRequestSchema } from './inner-request.ts';
import { NodeFrameSchema, SealedOfferSchema } from './node-frames.ts';
import { privateLimits } from './private-limits.ts';
import { SealedEventSchema } from './sealed-events.ts';

const hex = (bytes: number): string => 'ab'.repeat(bytes);
const jobId = `job_${'0'.repeat(24)}`;

const header: SealedHeader = {
  version: 1,
  suite: 'xwing-hkdf-sha256-aes256gcm',
  jobId,
  model: 'tiny',
  modelDigest: hex(32),
  maxPromptTokens: 10,
  maxTokens: 10,
  maxPriceNano: '10',
  padding: 'paced',
  notAfterMs: 1,
  candidates: [hex(32)],
};
const wrap = { enc: 'AAAA', wrapped: 'AAAA' };
const offer = {
  coordinator: hex(32),
  identity: hex(32),
  bundle: hex(32),
  epochNonce: hex(32),
  model: 'tiny',
  price: { promptNanoPerMillion: '1', completionNanoPerMillion: '2' },
  contextTokens: 1,
  concurrency: 1,
};
const entry: DirectoryEntry = { kind: 'joined', atMs: 1, bundle: hex(32), offer, signature: hex(64) };
const head = { coordinator: hex(32), size: 1, rootHash: hex(32), atMs: 1, signature: hex(64) };
const refusal = { jobId, headerHash: hex(32), bundle: hex(32), code: 'busy', atMs: 1 };
const receipt = {
  version: 1,
  jobId,
  headerHash: hex(32),
  bundle: hex(32),
  identity: hex(32),
  model: 'tiny',
  outcome: 'complete',
  promptTokens: 1,
  completionTokens: 1,
  price: offer.price,
  chunks: 1,
  transcript: hex(32),
  atMs: 1,
};
const inner = {
  version: 1,
  jobId,
  model: 'tiny',
  maxTokens: 1,
  messages: [{ role: 'user', content: 'x' }],
  sampling: { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
  stop: ['x'],
  seed: null,
  continuation: { text: 'x' },
};

const valid: readonly [string, v.GenericSchema, object][] = [
  ['a header', SealedHeaderSchema, header],
  ['a sealed request', SealedRequestSchema, { header, wraps: [wrap], body: 'AAAA' }],
  [
    'an offer of a job',
    SealedOfferSchema,
    { type: 'sealed-offer', header, candidate: 0, wrap, body: 'AAAA' },
  ],
  ['an entry', DirectoryEntrySchema, entry],
  [
    'a list of nodes',
    NodeListSchema,
    { head, consistency: [hex(32)], nodes: [{ index: 0, entry, proof: [] }] },
  ],
  ['an inner request', InnerRequestSchema, inner],
  ['an attestation', NodeFrameSchema, { type: 'attest', bundle: 'x', offer, signature: hex(64) }],
  ['a refusal', NodeFrameSchema, { type: 'sealed-refuse', refusal, signature: hex(64) }],
  ['a chunk of a node', NodeFrameSchema, { type: 'sealed-delta', jobId, index: 0, data: 'AAAA', last: true }],
  [
    'a receipt of a node',
    NodeFrameSchema,
    { type: 'sealed-done', jobId, node: { receipt, signature: hex(64) } },
  ],
  [
    'an assignment',
    SealedEventSchema,
    {
      type: 'assigned',
      candidate: 1,
      responseNonce: hex(32),
      skipped: [
        { refusal, signature: hex(64) },
        { head, index: 0, entry, proof: [hex(32)] },
      ],
    },
  ],
  ['a chunk', SealedEventSchema, { type: 'chunk', index: 0, data: 'AAAA', last: false }],
];

type Path = readonly (string | number)[];

/** Paths of all objects in a value. */
const objectsIn = (value: unknown, path: Path = []): Path[] =>
  typeof value !== 'object' || value === null
    ? []
    : [
        ...(Array.isArray(value) ? [] : [path]),
        ...Object.entries(value).flatMap(([name, member]) => objectsIn(member, [...path, name])),
      ];

/** A copy in which the object at a path was changed. */
function changed(value: object, path: Path, change: (object: Record<string, unknown>) => void): unknown {
  const copy = structuredClone(value);
  let at = copy as Record<string, unknown>;
  for (const name of path) at = at[name] as Record<string, unknown>;
  change(at);
  return copy;
}

describe.each(valid)('%s', (_, schema, value) => {
  it('passes as it is', () => {
    expect(v.safeParse(schema, value)).toMatchObject({ success: true, output: value });
  });

  it('is refused with a member too many or too few, at any depth', () => {
    for (const path of objectsIn(value)) {
      expect(
        v.is(
          schema,
          changed(value, path, (object) => (object['extra'] = 1)),
        ),
      ).toBe(false);
      const names = Object.keys(path.reduce((at, name) => (at as never)[name], value));
      for (const name of names)
        expect(
          v.is(
            schema,
            changed(value, path, (object) => delete object[name]),
          ),
        ).toBe(false);
    }
  });

  it('is refused with anything else in the place of a member, unless that is a value of its kind', () => {
    const paths = objectsIn(value);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.nat(), fc.jsonValue({ maxDepth: 2 }), (path, n, other) => {
        const altered = changed(value, path, (object) => {
          const names = Object.keys(object);
          object[names[n % names.length] ?? ''] = other;
        });
        const parsed = v.safeParse(schema, altered);
        // Whatever passes is not changed by it, and so can be signed and hashed as it came.
        expect(parsed.success ? parsed.output : altered).toEqual(altered);
      }),
    );
  });
});

describe('bounds', () => {
  it.each<[string, Partial<Record<keyof SealedHeader, unknown>>]>([
    ['four candidates', { candidates: ['01', '02', '03', '04'].map((byte) => byte.repeat(32)) }],
    ['no candidate', { candidates: [] }],
    ['a candidate twice', { candidates: [hex(32), hex(32)] }],
    ['a suite that there is not', { suite: 'x25519-hkdf-sha256-chacha20poly1305' }],
    ['no token of an answer', { maxTokens: 0 }],
    ['more than a prompt may have', { maxPromptTokens: privateLimits.promptTokens + 1 }],
    ['half a surrogate pair', { model: '\ud800' }],
    ['a sum that is no decimal', { maxPriceNano: '01' }],
    ['another version', { version: 2 }],
  ])('of a header: %s', (_, changes) => {
    expect(v.is(SealedHeaderSchema, { ...header, ...changes })).toBe(false);
  });

  it('of a request: as many wraps as candidates, and a body that is not too large', () => {
    const request = { header, wraps: [wrap], body: 'AAAA' };
    expect(v.is(SealedRequestSchema, { ...request, wraps: [wrap, wrap] })).toBe(false);
    expect(v.is(SealedRequestSchema, { ...request, wraps: [] })).toBe(false);
    const body = 'A'.repeat(4 * Math.ceil(privateLimits.bodyBytes / 3));
    expect(v.is(SealedRequestSchema, { ...request, body })).toBe(true);
    expect(v.is(SealedRequestSchema, { ...request, body: `${body}AAAA` })).toBe(false);
  });

  it('of a payload: cover is empty, text is short and whole', () => {
    expect(v.is(ChunkPayloadSchema, {})).toBe(true);
    expect(v.is(ChunkPayloadSchema, { text: 'x'.repeat(16_385) })).toBe(false);
    expect(v.is(ChunkPayloadSchema, { text: '\udc00' })).toBe(false);
    expect(v.is(ChunkPayloadSchema, { failed: { code: 'other' } })).toBe(false);
  });
});

describe('what was let through can be hashed', () => {
  it('even a name that JSON can write and canonical JSON cannot: it is not let through', () => {
    const forged = { ...entry, offer: { ...offer, model: '\ud800' } };
    expect(v.is(DirectoryEntrySchema, forged)).toBe(false);
    expect(() => entryText(forged as DirectoryEntry)).toThrow(RangeError);
  });

  it('a header by its members, in whatever order they came', () => {
    const reversed = Object.fromEntries(Object.entries(header).reverse()) as SealedHeader;
    expect(headerHashOf(reversed)).toBe(headerHashOf(header));
    expect(headerHashOf({ ...header, maxTokens: 11 })).not.toBe(headerHashOf(header));
  });
});
