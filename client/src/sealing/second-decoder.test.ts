/** Another reader, made from the specification alone, reads the known answers and whatever we seal. */
import { describe, expect, it } from 'vitest';
import { suiteNames } from '@tussah/protocol/private/header';
import {
  canonical,
  decodeAnswer,
  decodeRequest,
  isSigned,
  rootFromInclusion,
  rootOf,
  rootsFromConsistency,
} from './second-decoder.ts';
import { nodeKeysFrom } from './suites.ts';
import { sealRequest } from './seal-request.ts';
import { bundleName, innerOf } from './sealing-fixture.ts';
import vectors from './vectors.json' with { type: 'json' };

describe.each(vectors.sealed)('the known request of $suite', ({ nodes, request, answer, ...vector }) => {
  it('has the known header', () => {
    expect(canonical(request.header)).toBe(vector.headerText);
  });

  it('is read as each candidate', () => {
    for (const { bundle, secretKey } of nodes)
      expect(decodeRequest(request, bundle, secretKey)).toMatchObject({
        headerHash: vector.headerHash,
        bodyKey: vector.bodyKey,
        inner: vector.inner,
      });
  });

  it('has the known answer', () => {
    const node = nodes[answer.candidate];
    const enc = request.wraps[answer.candidate]?.enc ?? '';
    const { headerHash, secret } = decodeRequest(request, node?.bundle ?? '', node?.secretKey ?? '');
    expect(secret).toBe(answer.secret);
    const { responseNonce, chunks, transcript } = answer;
    expect(decodeAnswer({ headerHash, secret, enc, responseNonce, chunks })).toEqual({
      payloads: chunks.map(({ payload }) => payload),
      transcript,
    });
  });
});

it.each(suiteNames)('what we seal with %s today is read too', async (suite) => {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const keys = await nodeKeysFrom(suite, secret.slice());
  const node = { keys, bundle: 'any text' };
  const { header } = vectors.sealed[0]?.request ?? {};
  const inner = innerOf('Что такое шёлк?', header?.jobId);
  const { request } = await sealRequest({
    header: { ...header, suite, candidates: [bundleName(node)] } as never,
    inner,
    recipients: [{ bundle: node.bundle, hpkePublicKey: keys.publicKey }],
  });
  const decoded = decodeRequest(request, node.bundle, Buffer.from(secret).toString('hex'));
  expect(decoded.inner).toEqual(inner);
});

it.each(vectors.statements)('the known statement of $domain is signed', (statement) => {
  const { domain, publicKey, text, signature } = statement;
  expect(canonical(JSON.parse(text))).toBe(text);
  expect(isSigned(publicKey, domain, JSON.parse(text), signature)).toBe(true);
  expect(isSigned(publicKey, `${domain}0`, JSON.parse(text), signature)).toBe(false);
});

describe('the known directory', () => {
  const { entries, heads, inclusion, consistency } = vectors.directory;
  const size = entries.length;

  it('has signed heads with the roots of its entries', () => {
    for (const { signature, ...head } of heads) {
      expect(head.rootHash).toBe(rootOf(entries.slice(0, head.size)));
      expect(isSigned(head.coordinator, 'tussah-directory/1', head, signature)).toBe(true);
    }
  });

  it('proves each entry', () => {
    for (const { index, proof } of inclusion)
      expect(rootFromInclusion(entries[index] ?? '', index, size, proof)).toBe(heads[size]?.rootHash);
  });

  it('proves that each size goes on in the next', () => {
    for (const { from, proof } of consistency.slice(1)) {
      const fromRoot = heads[from]?.rootHash ?? '';
      const roots = rootsFromConsistency(from, fromRoot, size, proof);
      expect(roots).toEqual([fromRoot, heads[size]?.rootHash]);
    }
  });
});
