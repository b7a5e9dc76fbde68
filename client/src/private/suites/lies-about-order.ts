/** Lies about the order of candidates, which is the client’s. */
import { describe, expect, it } from 'vitest';
import type { SealedRequest } from '@tussah/protocol/private/header';
import type { SealedEvent, Skip } from '@tussah/protocol/private/sealed-events';
import { signRefusal } from '@tussah/protocol/private/sign-statements';
import { newIdentity } from '@tussah/protocol/signatures';
import { ask, codeOf, network, NOW, world, zeros } from '../testing/asking.ts';
import { first, cheated, flipped } from '../testing/cheated.ts';
import { random32, type ScriptedNode } from '../testing/scripted-node.ts';
import { ScriptedPrivateCoordinator, type Sent } from '../testing/scripted-private-coordinator.ts';

describe('lies about the order', () => {
  it('begins with the second', async () => {
    const { client, coordinator } = await network([{}, {}]);
    coordinator.cheats.first = 1;
    expect(await codeOf(client)).toBe('order_ignored');
  });

  it('says that it is the first, and gives it to the second', async () => {
    const { client, coordinator } = await network([{}, {}]);
    coordinator.cheats = {
      first: 1,
      events: (events) =>
        events.map((event) => (event.type === 'assigned' ? { ...event, candidate: 0 } : event)),
    };
    expect(await codeOf(client)).toBe('chunk_forged');
  });

  it('names a candidate that there is not, or two', async () => {
    const cases: ((events: SealedEvent[]) => Sent[])[] = [
      (events) => events.map((event) => (event.type === 'assigned' ? { ...event, candidate: 1 } : event)),
      (events) => [...events.slice(0, 2), ...events],
    ];
    for (const events of cases) expect((await cheated({ events })).code).toBe('order_ignored');
  });

  const refusalBy = (node: ScriptedNode, { header }: SealedRequest, more: object = {}) =>
    signRefusal(node.receiptKey, {
      jobId: header.jobId,
      headerHash: '00'.repeat(32),
      bundle: header.candidates[0] ?? '',
      code: 'busy',
      atMs: NOW,
      ...more,
    });

  it.each(['another key', 'another job', 'another node'])('forges a refusal with %s', async (kind) => {
    const { client, coordinator, nodes } = await network([{}, {}], { random: zeros });
    const [one, two] = nodes as [ScriptedNode, ScriptedNode];
    coordinator.cheats = {
      first: 1,
      skipped: async (_, request) => {
        const own = request.header.candidates[0] === one.name ? one : two;
        const signer = kind === 'another key' ? (own === one ? two : one) : own;
        const jobId = kind === 'another job' ? 'job_000000000000000000000001' : request.header.jobId;
        const bundle = request.header.candidates[kind === 'another node' ? 1 : 0] ?? '';
        return [await refusalBy(signer, request, { jobId, bundle })];
      },
    };
    expect(await codeOf(client)).toBe('order_ignored');
  });

  /** Asks for two nodes, of which the second gets the job, for what the coordinator says about the first. */
  async function passedBy(
    forge: (coordinator: ScriptedPrivateCoordinator, node: ScriptedNode) => Promise<Skip>,
  ): Promise<string> {
    const { client, coordinator, nodes } = await network([{}, {}]);
    coordinator.cheats = {
      first: 1,
      skipped: async (_, { header }) => {
        const node = nodes.find(({ name }) => name === header.candidates[0]);
        return [await forge(coordinator, node as ScriptedNode)];
      },
    };
    return codeOf(client);
  }
  const someLeave = () => ({ kind: 'left', atMs: NOW, bundle: random32(), reason: 'drained' }) as const;

  it.each<[string, Parameters<typeof passedBy>[0], string]>([
    [
      'that is in no directory',
      async (coordinator, node) => {
        const departure = await coordinator.departureAt(coordinator.append(someLeave()));
        return { ...departure, entry: { ...someLeave(), bundle: node.name } };
      },
      'order_ignored',
    ],
    [
      'of somebody else',
      (coordinator) => coordinator.departureAt(coordinator.append(someLeave())),
      'order_ignored',
    ],
    [
      'that is an arrival',
      (coordinator, { name: bundle, offer, signature }) =>
        coordinator.departureAt(coordinator.append({ kind: 'joined', atMs: NOW, bundle, offer, signature })),
      'order_ignored',
    ],
    [
      'under a head that is not signed',
      async (coordinator, node) => {
        coordinator.leave(node);
        const departure = await coordinator.departure(node);
        return { ...departure, head: { ...departure.head, atMs: NOW + 1 } };
      },
      'directory_forged',
    ],
    [
      'in another directory',
      async (coordinator, node) => {
        const fork = await ScriptedPrivateCoordinator.start(world, coordinator.identity);
        for (let i = 0; i < 4; i++) fork.append(someLeave());
        fork.leave(node);
        for (let i = 0; i < 3; i++) coordinator.append(someLeave());
        return fork.departure(node);
      },
      'directory_forked',
    ],
  ])('forges a departure %s', async (_, forge, code) => {
    expect(await passedBy(forge)).toBe(code);
  });

  it('shows a departure from before the choice', async () => {
    const { client, coordinator, nodes } = await network([{}, {}]);
    for (const node of nodes) coordinator.leave(node);
    coordinator.cheats.listsLeft = true;
    expect(await codeOf(client)).toBe('order_ignored');
  });

  it.each([
    [
      'unopenable',
      async (request: SealedRequest) => ({
        ...request,
        wraps: request.wraps.map((wrap, i) => (i === 0 ? { ...wrap, wrapped: flipped(wrap.wrapped) } : wrap)),
      }),
    ],
    [
      'replayed',
      async (request: SealedRequest, nodes: readonly ScriptedNode[]) => {
        await nodes.find(({ name }) => name === request.header.candidates[0])?.take(request, 0);
        return request;
      },
    ],
  ] as const)('brings about the refusal %s of the first, to reach the second', async (code, spoil) => {
    const { client, coordinator, nodes } = await network([{}, {}]);
    coordinator.cheats.request = (request) => spoil(request, nodes);
    const { last, text } = await ask(client);
    expect(last).toMatchObject({ type: 'failed', text: 'none', failure: { code } });
    expect(text).toBe('');
  });

  it('calls the job off at the first, to reach the second', async () => {
    const { client, coordinator, nodes } = await network([{}, {}], { random: zeros });
    coordinator.cheats.request = (request) => {
      for (const node of nodes) if (node.name === request.header.candidates[0]) node.refuses = 'cancelled';
      return request;
    };
    expect(await codeOf(client)).toBe('cancelled');
  });

  it('gives up with refusals that are forged', async () => {
    const stranger = await newIdentity();
    const forged = async (_: unknown, { header }: SealedRequest) => [
      await signRefusal(stranger, {
        jobId: header.jobId,
        headerHash: '00'.repeat(32),
        bundle: header.candidates[0] ?? '',
        code: 'too_long' as const,
        atMs: NOW,
      }),
    ];
    const { client, coordinator, nodes } = await network();
    first(nodes).refuses = 'busy';
    coordinator.cheats.skipped = forged;
    expect(await codeOf(client)).toBe('order_ignored');
  });
});
