/** Random histories of a few nodes: whatever they and their clients do, the invariants hold after each step. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkPrivateSums } from '@tussah/protocol/private/check-receipt';
import { PrivateWorld, type NodeHand } from './private-world.ts';

const kinds = [
  'join',
  'join',
  'submit',
  'submit',
  'submit',
  'accept',
  'accept',
  'say',
  'say',
  'last',
  'done',
  'done',
  'refuse',
  'lie',
  'vanish',
  'drain',
  'epoch',
  'abandon',
  'wait',
  'wait-long',
  'write',
  'settle',
  'break-store',
] as const;
const act = fc.record({
  kind: fc.constantFrom(...kinds),
  who: fc.nat({ max: 3 }),
  which: fc.nat({ max: 50 }),
});
type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never;

interface Tier {
  readonly world: PrivateWorld;
  readonly nodes: NodeHand[];
  readonly jobs: string[];
}

const pick = <Item>(items: readonly Item[], which: number): Item | undefined =>
  items[which % Math.max(1, items.length)];

function perform({ world, nodes, jobs }: Tier, { kind, who, which }: Act): void {
  const tier = world.state.private;
  const live = nodes.filter((node) => !node.closed);
  const node = pick(live, who);
  const drafts = world.effects.filter(
    (effect) => effect.type === 'settle-sealed' && tier.jobs.get(effect.draft.jobId)?.draft === effect.draft,
  );
  const draft = pick(drafts, which);
  switch (kind) {
    case 'join':
      if (live.length < 4)
        nodes.push(world.join(`node ${who}`, { concurrency: 1 + (which % 3) }, 1_000 * (1 + which)));
      return;
    case 'submit': {
      const chosen = [0, 1, 2].slice(0, 1 + (which % 3)).flatMap((i) => pick(nodes, who + i) ?? []);
      const distinct = [...new Map(chosen.map((each) => [each.bundle, each])).values()].filter(
        ({ bundle }) => bundle !== '',
      );
      if (distinct.length === 0) return;
      jobs.push(
        world.submit(
          distinct,
          { maxPriceNano: String(which * 10) },
          { account: which % 2 === 0 ? 'alice' : 'bob', guest: which % 5 === 0 },
        ),
      );
      return;
    }
    case 'abandon':
      return world.abandon(pick(jobs, which) ?? '');
    case 'wait':
      return world.wait(which * 20);
    case 'wait-long':
      return world.wait(which * 1_000);
    case 'write':
      return world.write();
    case 'settle':
      if (draft?.type === 'settle-sealed') world.settle(draft);
      return;
    case 'break-store':
      if (draft?.type === 'settle-sealed')
        world.post({ type: 'sealed-settlement-failed', jobId: draft.draft.jobId });
      return;
    default:
  }
  if (node === undefined) return;
  const held = pick([...(tier.connections.get(node.connectionId)?.jobs ?? [])], which) ?? pick(jobs, which);
  if (kind === 'vanish') node.vanish();
  else if (kind === 'drain') node.send({ type: 'status', state: which % 2 === 0 ? 'draining' : 'ready' });
  else if (kind === 'epoch') {
    node.send({ type: 'epoch-request' });
    if (!node.closed) node.attest();
  } else if (held === undefined) return;
  else if (kind === 'accept') node.accept(held);
  else if (kind === 'say') node.say(held);
  else if (kind === 'last') node.say(held, true);
  else if (kind === 'done')
    node.done(
      held,
      {
        completionTokens: which,
        outcome: tier.jobs.get(held)?.phase === 'cancelling' ? 'cancelled' : 'complete',
      },
      which % 7 > 0,
    );
  else if (kind === 'refuse') node.refuse(held, 'busy', { valid: which % 7 > 0 });
  else if (kind === 'lie') node.say(held, false, 999);
}

function checkWorld(world: PrivateWorld): void {
  world.checkBooks();
  const { connections, epochs, departed, jobs, operators } = world.state.private;
  for (const job of jobs.values()) {
    const holders = [...connections.values()].filter((node) => node.jobs.has(job.id));
    const holds = ['offered', 'refusing', 'running', 'closing', 'cancelling', 'checking'].includes(job.phase);
    // A node that has signed may go before its word is checked; here checks are done at once.
    expect(holders.length).toBe(holds ? 1 : 0);
    const { candidates } = job.request.header;
    expect(job.skipped.length).toBe(job.candidate);
    job.skipped.forEach((skip, i) => {
      const bundle = skip.kind === 'refused' ? skip.signed.refusal.bundle : skip.entry.bundle;
      expect(bundle).toBe(candidates[i]);
      if (skip.kind === 'left') expect(world.directory[skip.index]).toEqual(skip.entry);
    });
  }
  for (const [bundle, epoch] of epochs) {
    expect(departed.has(bundle)).toBe(false);
    if (epoch.phase !== 'leaving') expect(connections.get(epoch.connectionId)?.epochs.has(epoch)).toBe(true);
  }
  const open = [...connections.values()].filter(({ phase }) => phase === 'open');
  expect([...operators.values()].reduce((sum, { connections: n }) => sum + n, 0)).toBe(open.length);
}

/** Each bundle joins once and leaves at most once, in this order. */
function checkDirectory({ directory }: PrivateWorld): void {
  const seen = new Map<string, number>();
  for (const { kind, bundle } of directory) {
    expect(seen.get(bundle) ?? 0).toBe(kind === 'joined' ? 0 : 1);
    seen.set(bundle, kind === 'joined' ? 1 : 2);
  }
}

test('whatever happens, money is conserved, the order is kept, every skip is proven, and every job ends exactly once', () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 20, maxLength: 150 }), fc.boolean(), (acts, writes) => {
      const world = new PrivateWorld({ epochIntervalMs: 0, nodeQueue: 1 });
      world.writes = writes;
      const tier: Tier = { world, nodes: [], jobs: [] };
      for (const one of acts) {
        perform(tier, one);
        checkWorld(world);
      }
      // Nobody does anything more: everything must come to its end.
      world.writes = true;
      for (let i = 0; i < 20; i++) {
        world.write();
        for (const effect of world.effects.slice())
          if (
            effect.type === 'settle-sealed' &&
            world.state.private.jobs.get(effect.draft.jobId)?.draft === effect.draft
          )
            world.settle(effect);
        world.wait(120_000);
      }
      expect(world.state.private.jobs.size).toBe(0);
      expect(world.state.private.epochs.size).toBe(0);
      expect(world.state.reserved.size).toBe(0);
      expect(world.state.deadlines.size).toBe(0);
      checkWorld(world);
      checkDirectory(world);
      for (const jobId of tier.jobs) {
        const { ends, receipt } = world.heard(jobId);
        expect(ends).toBe(1);
        if (receipt !== undefined) expect(checkPrivateSums(receipt).filter(({ ok }) => !ok)).toEqual([]);
      }
    }),
    { numRuns: process.env['TUSSAH_DEEP'] === '1' ? 3_000 : 200 },
  );
}, 120_000);
