/** Lies about the request on its way to the node. */
import { describe, expect, it } from 'vitest';
import type { SealedHeader, SealedRequest } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { codeOf, network, NOW } from '../testing/asking.ts';
import { first, cheated, flipped } from '../testing/cheated.ts';

describe('lies about the request', () => {
  const other: { [Member in keyof SealedHeader]: SealedHeader[Member] } = {
    version: 1,
    suite: 'xwing-hkdf-sha256-aes256gcm',
    jobId: 'job_000000000000000000000001',
    model: 'other',
    modelDigest: '00'.repeat(32),
    maxPromptTokens: 2,
    maxTokens: 3,
    maxPriceNano: '1',
    padding: 'buckets',
    notAfterMs: NOW + 1_000,
    candidates: [],
  };
  const changes = (Object.keys(other) as (keyof SealedHeader)[]).filter((member) => member !== 'version');

  it.each(changes)('changes the %s of the header', async (member) => {
    const { client, coordinator, nodes } = await network();
    const another = await coordinator.join({ model: 'other' });
    const value = member === 'candidates' ? [first(nodes).name, another.name] : other[member];
    let heard = false;
    first(nodes).says = () => {
      heard = true;
      return {};
    };
    coordinator.cheats.request = (request) => ({
      ...request,
      header: { ...request.header, [member]: value },
    });
    // A refusal of a job with another id proves nothing about this one.
    const codes = {
      jobId: 'order_ignored',
      suite: 'header_mismatch',
      model: 'header_mismatch',
      modelDigest: 'header_mismatch',
      maxPriceNano: 'header_mismatch',
    };
    expect(await codeOf(client)).toBe(codes[member as keyof typeof codes] ?? 'unopenable');
    expect(heard).toBe(false);
  });

  it.each([
    ['the body', (r: SealedRequest) => ({ ...r, body: flipped(r.body) })],
    [
      'a wrap',
      (r: SealedRequest) => ({ ...r, wraps: r.wraps.map((w) => ({ ...w, wrapped: flipped(w.wrapped) })) }),
    ],
    [
      'an encapsulated key',
      (r: SealedRequest) => ({ ...r, wraps: r.wraps.map((w) => ({ ...w, enc: flipped(w.enc) })) }),
    ],
  ])('changes %s', async (_, request) => {
    expect((await cheated({ request })).code).toBe('unopenable');
  });

  it('replays a sealed job to the node', async () => {
    const { client, coordinator, nodes } = await network();
    let answers = 0;
    first(nodes).says = () => {
      answers += 1;
      return {};
    };
    coordinator.cheats.request = async (request) => {
      await first(nodes).take(request, 0);
      return request;
    };
    expect(await codeOf(client)).toBe('replayed');
    expect(answers).toBe(1);
  });

  it('keeps a job and sends it later', async () => {
    const { client, coordinator } = await network();
    coordinator.cheats.request = (request) => {
      coordinator.nowMs += privateLimits.headerAheadMs;
      return request;
    };
    // The refusal is authentic, whenever it comes.
    expect(await codeOf(client)).toBe('expired');
  });
});
