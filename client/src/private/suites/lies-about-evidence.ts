/** Lies about evidence: whoever is not a machine that the policy accepts gets nothing. */
import { simulatedPolicy } from '@tussah/attestation/simulated/bundle';
import { describe, expect, it } from 'vitest';
import { otherWorld } from '@tussah/attestation/testing/world';
import { sha256Hex } from '@tussah/protocol/bytes';
import { signOffer } from '@tussah/protocol/private/sign-statements';
import { newIdentity } from '@tussah/protocol/signatures';
import { ask, clientOf, codeOf, network, NOW, policy, world } from '../testing/asking.ts';
import { first, cheated } from '../testing/cheated.ts';
import { makeNode, MODEL, random32, ScriptedNode } from '../testing/scripted-node.ts';
import { ScriptedPrivateCoordinator } from '../testing/scripted-private-coordinator.ts';

describe('lies about evidence', () => {
  it.each(['hpkePublicKey', 'receiptKey'] as const)('swaps the %s in a bundle', async (member) => {
    const { client, coordinator, nodes } = await network();
    const bundle = JSON.parse(first(nodes).text) as { statement: Record<string, string> };
    bundle.statement[member] = random32();
    const text = JSON.stringify(bundle);
    const { keys, receiptKey, offer, signature } = first(nodes);
    const name = sha256Hex(text);
    const swapped = new ScriptedNode(
      { keys, receiptKey, text, name, offer: { ...offer, bundle: name }, signature },
      coordinator.now,
    );
    coordinator.leave(first(nodes));
    coordinator.enter(swapped);
    const { last } = await ask(client);
    expect(last).toMatchObject({
      failure: { code: 'evidence_rejected', message: expect.stringContaining('tdx.report-data') },
    });
    expect(coordinator.jobs).toEqual([]);
  });

  it('shows another text than the one named', async () => {
    const { code, coordinator } = await cheated({ bundle: (_, text) => `${text} ` });
    expect(code).toBe('bundle_forged');
    expect(coordinator.jobs).toEqual([]);
  });

  it('shows none', async () => {
    expect((await cheated({ bundle: () => undefined })).code).toBe('bundle_unavailable');
  });

  it('shows one without end', async () => {
    expect((await cheated({ bundle: () => 'x'.repeat(4_000_000) })).code).toBe('bundle_unavailable');
  });

  it('replays evidence that has ended', async () => {
    const { client, coordinator } = await network([{ notAfterMs: NOW + 60_000 }]);
    expect(await codeOf(client)).toBe('finished');
    coordinator.nowMs = NOW + 60_001;
    const { last } = await ask(client);
    expect(last).toMatchObject({ failure: { message: expect.stringContaining('bundle.not-after') } });
  });

  it("offers another node's evidence as its own", async () => {
    const { client, coordinator, nodes } = await network();
    const liar = await newIdentity();
    const offer = { ...first(nodes).offer, identity: liar.publicKey };
    coordinator.leave(first(nodes));
    const { keys, receiptKey, text, name } = first(nodes);
    const stolen = new ScriptedNode(
      { keys, receiptKey, text, name, offer, signature: await signOffer(liar, offer) },
      coordinator.now,
    );
    const fresh = await ScriptedPrivateCoordinator.start(world, coordinator.identity);
    fresh.enter(stolen);
    expect(await codeOf(clientOf(fresh))).toBe('offer_forged');
    expect(await codeOf(client)).toBe('no_node');
  });

  it('shows an offer of another epoch, model or coordinator', async () => {
    for (const change of [{ epochNonce: random32() }, { model: 'other' }, { coordinator: random32() }]) {
      const { client, coordinator } = await network([]);
      const node = await makeNode(world, coordinator.identity.publicKey, coordinator.now);
      const offer = { ...node.offer, ...change };
      Object.assign(node, { offer, signature: await signOffer(node.receiptKey, offer) });
      coordinator.enter(node);
      // One of another model is listed only by a coordinator that lies.
      coordinator.cheats.model = MODEL;
      expect(await codeOf(client)).toBe('offer_forged');
      expect(coordinator.jobs).toEqual([]);
    }
  });

  it('offers simulated evidence where no policy names its roots', async () => {
    const { coordinator } = await network();
    for (const use of [
      { ...policy, simulatedRoots: [] },
      { ...simulatedPolicy(otherWorld), models: policy.models },
    ])
      expect(await codeOf(clientOf(coordinator, { policy: use }))).toBe('evidence_rejected');
    expect(coordinator.jobs).toEqual([]);
  });

  it('offers a suite in the bundle that was not attested', async () => {
    const { client, coordinator } = await network([
      { bundle: { presented: { suite: 'xwing-hkdf-sha256-aes256gcm' } } },
    ]);
    expect(await codeOf(client)).toBe('evidence_rejected');
    expect(coordinator.jobs).toEqual([]);
  });

  it.each([
    ['x25519-hkdf-sha256-aes256gcm', 32],
    ['xwing-hkdf-sha256-aes256gcm', 1_216],
  ] as const)('has a key of %s attested that is none', async (suite, bytes) => {
    const { client, coordinator, nodes } = await network([
      { suite, bundle: { statement: { hpkePublicKey: '00'.repeat(bytes) } } },
      {},
    ]);
    const { last, events } = await ask(client);
    expect(last).toMatchObject({ type: 'finished', node: { bundle: nodes[1]?.name } });
    expect(events[0]).toMatchObject({
      preparation: { rejected: [{ bundle: nodes[0]?.name, code: 'evidence_rejected' }] },
    });
    expect(coordinator.jobs).toHaveLength(1);
  });

  it('lists nothing but junk, and is not followed for ever', async () => {
    const { client, coordinator } = await network(
      Array.from({ length: 30 }, () => ({ notAfterMs: NOW - 1 })),
    );
    expect(await codeOf(client)).toBe('evidence_rejected');
    expect(coordinator.seen.filter(({ path }) => path.includes('/bundles/')).length).toBeLessThanOrEqual(24);
  });
});
