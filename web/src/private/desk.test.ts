import { MemoryHeads } from '@tussah/client/private/heads';
import { NOW, pieces, policy, wholeText, world } from '@tussah/client/private/testing/asking';
import { MODEL } from '@tussah/client/private/testing/scripted-node';
import { ScriptedPrivateCoordinator } from '@tussah/client/private/testing/scripted-private-coordinator';
import type { NodeList } from '@tussah/protocol/private/directory';
import { describe, expect, it } from 'vitest';
import { step, asked } from '../chat/answer.ts';
import { askPrivately } from './ask-privately.ts';
import { PrivateDesk } from './desk.ts';
import type { DeskEvent } from './desk-api.ts';
import { deskBroken } from './desk-broken.ts';

const question = { model: MODEL, messages: [{ role: 'user', content: 'What is wild silk?' }] } as const;

/** A desk in front of a coordinator with as many nodes; it serves the simulated policy. */
async function deskWith(nodes: number, loopback = true) {
  const coordinator = await ScriptedPrivateCoordinator.start(world);
  for (let i = 0; i < nodes; i++) (await coordinator.join()).says = () => ({ text: pieces });
  const settings = new Map<string, string>();
  let heads = new MemoryHeads();
  const desk = new PrivateDesk({
    baseURL: coordinator.baseURL,
    loopback,
    store: {
      load: (name) => heads.load(name),
      save: (name, head, replaced) => heads.save(name, head, replaced),
      forget: async () => {
        heads = new MemoryHeads();
      },
      get: async (name) => settings.get(name),
      set: async (name, value) =>
        void (value === undefined ? settings.delete(name) : settings.set(name, value)),
    },
    fetch: async (url, init) =>
      url.endsWith('/nodes/policy') ? new Response(JSON.stringify(policy)) : coordinator.fetch(url, init),
    now: () => NOW,
  });
  return { coordinator, desk };
}

async function ask(desk: PrivateDesk) {
  const events: DeskEvent[] = [];
  await desk.ask('1', question, null, (event) => void events.push(event));
  const answer = events.reduce(
    (so, event) => step(so, event.type === 'text-delta' ? { ...event, atMs: 1 } : event),
    asked(0),
  );
  return { events, answer };
}
const posted = ({ seen }: ScriptedPrivateCoordinator) => seen.filter(({ method }) => method === 'POST');

describe('PrivateDesk', () => {
  it('verifies machines before anything is sent, and says that they are simulated', async () => {
    const { desk, coordinator } = await deskWith(2);
    await desk.choose('simulated');
    const readiness = await desk.prepare(MODEL, null);
    expect(readiness).toMatchObject({ failure: null, simulated: true, policy: { source: 'simulated' } });
    expect(readiness.nodes).toHaveLength(2);
    expect(readiness.nodes[0]?.verdict.steps.every(({ status }) => status !== 'failed')).toBe(true);
    expect(structuredClone(readiness)).toEqual(readiness);
    expect(posted(coordinator)).toEqual([]);
  });

  it('seals a question to a verified machine, and brings answer, machine and proof home', async () => {
    const { desk, coordinator } = await deskWith(1);
    await desk.choose('simulated');
    const { answer, events } = await ask(desk);
    expect(answer).toMatchObject({
      phase: 'done',
      text: wholeText,
      receipt: null,
      machines: [{ hardware: 'Intel TDX', simulated: true, policy: policy.name }],
      proof: { failure: null, expected: { model: MODEL, coordinator: coordinator.identity.publicKey } },
    });
    expect(structuredClone(events)).toEqual(events);
    expect(JSON.stringify(posted(coordinator))).not.toContain('wild silk');
  });

  it('sends nothing under a policy that accepts nobody', async () => {
    const { desk, coordinator } = await deskWith(1);
    expect(await desk.prepare(MODEL, null)).toMatchObject({
      nodes: [],
      failure: { code: 'model_not_in_policy' },
    });
    expect((await ask(desk)).answer).toMatchObject({ phase: 'failed', text: '', machines: [] });
    expect(posted(coordinator)).toEqual([]);
  });

  it('does not take a coordinator’s policy away from loopback', async () => {
    const { desk } = await deskWith(1, false);
    expect(await desk.choose('simulated')).toMatchObject({ ok: false });
    expect((await desk.policies()).offers).toHaveLength(1);
  });

  it('shows a whole answer with a wrong receipt as whole, with that failure beside it', async () => {
    const { desk, coordinator } = await deskWith(1);
    await desk.choose('simulated');
    coordinator.cheats.receipt = (body) => ({ ...body, chargedNano: '1' });
    expect((await ask(desk)).answer).toMatchObject({
      phase: 'done',
      text: wholeText,
      proof: { failure: { code: 'receipt_mismatch' } },
    });
  });

  it('never shows a cut answer as whole', async () => {
    const { desk, coordinator } = await deskWith(1);
    await desk.choose('simulated');
    coordinator.cheats.events = (events) => events.slice(0, 3);
    expect((await ask(desk)).answer).toMatchObject({ phase: 'failed', failure: { code: 'truncated' } });
  });

  it('refuses a directory that does not go on from the one kept, until a person forgets that', async () => {
    const { desk, coordinator } = await deskWith(1);
    await desk.choose('simulated');
    await desk.prepare(MODEL, null);
    // Something else than what made the client keep its list.
    await desk.keepOwn(JSON.stringify({ ...policy, name: 'mine' }));
    const anew = await deskWith(1);
    coordinator.cheats.list = async () => {
      const answer = await anew.coordinator.fetch(`${coordinator.baseURL}/nodes?model=${MODEL}`, {});
      return (await answer.json()) as NodeList;
    };
    expect(await desk.prepare(MODEL, null)).toMatchObject({ failure: { code: 'coordinator_changed' } });
    expect(await desk.forgetHead()).toEqual({ ok: true, value: null });
    expect((await desk.prepare(MODEL, null)).failure?.code).not.toBe('coordinator_changed');
  });

  it('gives the evidence of a machine as it is, and nothing that is not what its name says', async () => {
    const { desk, coordinator } = await deskWith(1);
    await desk.choose('simulated');
    const [node] = (await desk.prepare(MODEL, null)).nodes;
    const evidence = await desk.evidence(node?.bundle ?? '');
    expect(evidence.ok && JSON.parse(evidence.value)).toMatchObject({ version: 1 });
    coordinator.cheats.bundle = (_, text) => ` ${text}`;
    expect(await desk.evidence(node?.bundle ?? '')).toMatchObject({
      failure: { code: 'bundle_unavailable' },
    });
  });
});

describe('askPrivately', () => {
  const never = new Promise<never>(() => undefined);
  const listener = (listen: (event: DeskEvent) => void) => listen;
  const options = { apiKey: null, signal: new AbortController().signal, now: () => 7 };
  async function typesOf(events: AsyncIterable<{ readonly type: string }>) {
    const types: string[] = [];
    for await (const { type } of events) types.push(type);
    return types;
  }

  it('passes a whole answer on, with the page’s own time', async () => {
    const { desk } = await deskWith(1);
    await desk.choose('simulated');
    const types = await typesOf(
      askPrivately(async () => ({ desk, broken: never, listener }), question, options),
    );
    expect([types[0], types.at(-1)]).toEqual(['assigned', 'finished']);
    expect(types).toContain('text-delta');
  });

  it.each([
    ['can not be opened', () => Promise.reject(new Error('no'))],
    [
      'ends without an end',
      async () => ({
        desk: { ask: async () => undefined, stop: async () => undefined },
        broken: never,
        listener,
      }),
    ],
    [
      'crashes',
      async () => ({
        desk: { ask: () => never, stop: () => never },
        broken: Promise.resolve(deskBroken),
        listener,
      }),
    ],
  ])('fails when the desk %s', async (_, open) => {
    expect(await typesOf(askPrivately(open, question, options))).toEqual(['failed']);
  });

  it('stops at once, and tells the desk', async () => {
    const controller = new AbortController();
    const stopped: string[] = [];
    const desk = { ask: () => never, stop: async (id: string) => void stopped.push(id) };
    const types = typesOf(
      askPrivately(async () => ({ desk, broken: never, listener }), question, {
        ...options,
        signal: controller.signal,
      }),
    );
    await new Promise((done) => setTimeout(done, 1));
    controller.abort();
    expect(await types).toEqual(['stopped']);
    expect(stopped).toHaveLength(1);
  });
});
