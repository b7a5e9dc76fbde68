/** Our code against the committed known answers, in Node and in Chromium. */
import { sha256Hex } from '@tussah/protocol/bytes';
import { headerHashOf } from '@tussah/protocol/private/header';
import { describe, expect, it } from 'vitest';
import { makeKnownAnswers, type KnownAnswers } from './known-answers.ts';
import { openRequest } from './open-request.ts';
import { nodeKeysFrom } from './suites.ts';
import { ownHex } from './labels.ts';
import committed from './vectors.json' with { type: 'json' };

const vectors = committed as unknown as KnownAnswers;

it('known answers come out as they are committed', async () => {
  expect(JSON.parse(JSON.stringify(await makeKnownAnswers()))).toEqual(committed);
});

describe.each(vectors.sealed)('the known request of $suite', ({ suite, nodes, request, ...vector }) => {
  it('is opened by each of its candidates', async () => {
    expect(headerHashOf(request.header)).toBe(vector.headerHash);
    for (const [candidate, node] of nodes.entries()) {
      const keys = await nodeKeysFrom(suite, ownHex(node.secretKey));
      const wrap = request.wraps[candidate];
      expect(keys.publicKey).toBe(node.publicKey);
      expect(sha256Hex(node.bundle)).toBe(node.name);
      const { header, body } = request;
      const opening = { header, candidate, wrap: wrap ?? { enc: '', wrapped: '' }, body };
      expect(await openRequest({ ...opening, keys, bundle: node.name })).toMatchObject({
        ok: true,
        value: { inner: vector.inner },
      });
    }
  });
});
