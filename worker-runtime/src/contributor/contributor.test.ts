import { hashOfIds } from '@tussah/protocol/bytes';
import { segmentStatement } from '@tussah/protocol/receipts';
import { domains, verifySignature } from '@tussah/protocol/signatures';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EngineError } from '../engine/port.ts';
import { openWebSocket } from './browser-ports.ts';
import { Contributor } from './contributor.ts';
import { memoryIdentities, memoryLeadership } from './identity.ts';
import type { ContributorPorts } from './ports.ts';
import { choice, fastClock, ScriptedCoordinator, ScriptedEngine } from './scripted.ts';
import { frames, jobId, offer } from './session-fixtures.ts';
import type { ContributorPhase, ContributorSettings } from './snapshot.ts';

// Engines and sockets keep their own time here, and a machine under load is slow.
vi.setConfig({ testTimeout: 30_000 });

let coordinator: ScriptedCoordinator;
let engines: ScriptedEngine[];
let contributors: Contributor[];

beforeEach(async () => {
  coordinator = await ScriptedCoordinator.open();
  engines = [];
  contributors = [];
});
afterEach(async () => {
  await Promise.all(contributors.map((contributor) => contributor.stop()));
  await coordinator.close();
});

const downloadFailed = () =>
  new EngineError({ code: 'download_failed', message: 'The network failed.', remedy: 'Try again.' });

/** `prepare` changes the nth engine made, counted from 0. */
function make(
  part: { settings?: Partial<ContributorSettings>; ports?: Partial<ContributorPorts> } = {},
  prepare: (engine: ScriptedEngine, n: number) => void = () => {},
): Contributor {
  const settings: ContributorSettings = {
    coordinatorUrl: coordinator.url,
    model: 'tiny',
    engine: 'auto',
    wallet: null,
    ask: null,
    ...part.settings,
  };
  const contributor = new Contributor(settings, {
    openSocket: openWebSocket,
    chooseBuild: () => Promise.resolve({ ok: true, value: choice }),
    engineFor: () => {
      const engine = new ScriptedEngine();
      prepare(engine, engines.length);
      engines.push(engine);
      return engine;
    },
    identities: memoryIdentities(),
    leadership: memoryLeadership(),
    clock: fastClock(5),
    agent: 'test/1',
    ...part.ports,
  });
  contributors.push(contributor);
  return contributor;
}

const reached = (contributor: Contributor, phase: ContributorPhase) =>
  new Promise<void>((resolve) => {
    if (contributor.snapshot.phase === phase) return resolve();
    const end = contributor.subscribe((snapshot) => {
      if (snapshot.phase !== phase) return;
      end();
      resolve();
    });
  });

describe('a contributor', () => {
  test('loads, joins, answers and signs what it delivered', async () => {
    const contributor = make();
    const phases: string[] = [];
    contributor.subscribe(({ phase }) => {
      if (phases.at(-1) !== phase) phases.push(phase);
    });
    await contributor.start();
    const { session, hello, ready } = await coordinator.joined(1);
    expect(ready).toMatchObject({ model: 'tiny', build: 'fake-tiny', profile: { engine: 'fake' } });
    expect(ready.tokensPerSecond).toBeGreaterThan(1);
    await reached(contributor, 'ready');

    const job = offer(1, { prefix: { text: 'ab', ids: [0, 1] } });
    session.send(job);
    await session.next('job-accept');
    expect(await session.deltas(2)).toBe(8);
    const done = await session.next('job-done');
    const ids = [2, 3, 4, 5, 6, 7];
    const statement = segmentStatement({
      jobId: job.jobId,
      contributor: hello.publicKey,
      model: job.model,
      build: job.build,
      seedRoot: job.seedRoot,
      promptHash: hashOfIds(job.prompt.ids),
      firstPosition: 2,
      tokens: 6,
      idsHash: hashOfIds(ids),
      end: 'stop',
    });
    expect(await verifySignature(hello.publicKey, domains.segment, statement, done.signature)).toBe(true);
    session.send(frames['job-settled']);
    await expect
      .poll(() => contributor.snapshot)
      .toMatchObject({
        phase: 'ready',
        publicKey: hello.publicKey,
        build: 'fake-tiny',
        jobsDone: 1,
        tokensDone: 6,
        earnedHereNano: '70',
        earnedTotalNano: '75',
      });
    expect(phases).toEqual(['loading', 'connecting', 'ready', 'working', 'ready']);
  });

  test('keeps answering while the connection is lost, and sends what was missed', async () => {
    const contributor = make({}, (engine) => {
      engine.tokens = 40;
      engine.everyMs = 10;
    });
    await contributor.start();
    const first = await coordinator.joined(1);
    first.session.send(offer(1));
    await first.session.next('job-accept');
    const got = await first.session.next('text-delta');
    first.session.cut();
    await reached(contributor, 'reconnecting');
    const position = got.position + got.ids.length;
    const { session, hello } = await coordinator.joined(1, [{ jobId: jobId(1), position }]);
    expect(hello.resume).toMatch(/^sess_/);
    const missed = await session.deltas(position);
    expect(missed).toBeGreaterThan(position);
    await session.next('status');
    expect(await session.deltas(missed)).toBe(40);
    expect(await session.next('job-done')).toMatchObject({ tokens: 40 });
    expect(contributor.snapshot.jobsDone).toBe(1);
  });

  test('replaces a lost engine once, tells the coordinator, and serves again', async () => {
    const contributor = make({}, (engine) => {
      engine.everyMs = 10;
    });
    await contributor.start();
    const { session } = await coordinator.joined(1);
    session.send(offer(1));
    await session.next('job-accept');
    await session.next('text-delta');
    engines[0]?.lose('The GPU was reset.');
    await session.deltas(1);
    expect(await session.next('job-failed')).toMatchObject({ code: 'engine_lost' });
    expect(await session.next('status')).toMatchObject({ state: 'paused' });
    expect(contributor.snapshot).toMatchObject({ phase: 'loading' });
    expect(contributor.snapshot.sentence).toContain('The GPU was reset.');
    await session.next('model-ready');
    expect(await session.next('status')).toMatchObject({ state: 'ready' });
    session.send(offer(2));
    await session.next('job-accept');
    await session.deltas(0);
    await session.next('job-done');
    expect(engines.map((engine) => engine.unloaded)).toEqual([true, false]);
  });

  test('gives up on an engine that is lost again at once', async () => {
    const contributor = make();
    await contributor.start();
    const { session } = await coordinator.joined(1);
    engines[0]?.lose('The GPU was reset.');
    await session.next('status');
    await session.next('model-ready');
    engines[1]?.lose('The GPU was reset.');
    await reached(contributor, 'failed');
    expect(contributor.snapshot.failure).toMatchObject({ code: 'engine_lost' });
    expect(await session.whenClosed()).toMatchObject({ code: 1000 });
  });

  test('finishes the running answer before it stops, and releases everything', async () => {
    const leadership = memoryLeadership();
    const identities = memoryIdentities();
    const contributor = make({ ports: { leadership, identities } }, (engine) => {
      engine.everyMs = 10;
    });
    await contributor.start();
    const { session } = await coordinator.joined(1);
    session.send(offer(1));
    await session.next('job-accept');
    const stopped = contributor.finishThenStop();
    const before = await session.deltas(0);
    expect(await session.next('status')).toMatchObject({ state: 'draining' });
    expect(await session.deltas(before)).toBe(6);
    await session.next('job-done');
    session.send(frames['job-settled']);
    await stopped;
    expect(contributor.snapshot).toMatchObject({ phase: 'stopped', jobsDone: 1, earnedHereNano: '70' });
    expect(engines[0]?.unloaded).toBe(true);
    const other = make({ ports: { leadership, identities } });
    await other.start();
    expect(other.snapshot.failure).toBeNull();
  });

  test('stops at once, giving the job back, and can be started again', async () => {
    const contributor = make({}, (engine) => {
      engine.everyMs = 20;
    });
    await contributor.start();
    const { session } = await coordinator.joined(1);
    session.send(offer(1));
    await session.next('job-accept');
    await contributor.stop();
    await session.deltas(0);
    expect(await session.next('job-failed')).toMatchObject({ code: 'contributor_stopped' });
    expect(contributor.snapshot.phase).toBe('stopped');
    await contributor.start();
    expect((await coordinator.joined(2)).hello.resume).toBeNull();
  });

  test('a second tab with the same key says that another one contributes', async () => {
    const shared = { leadership: memoryLeadership(), identities: memoryIdentities() };
    await make({ ports: shared }).start();
    const second = make({ ports: shared });
    await second.start();
    expect(second.snapshot).toMatchObject({
      phase: 'failed',
      failure: { code: 'contributing_elsewhere' },
    });
  });

  test('stopping while it loads leaves nothing behind', async () => {
    const contributor = make();
    const starting = contributor.start();
    await contributor.stop();
    await starting;
    expect(contributor.snapshot.phase).toBe('stopped');
    expect(engines.every((engine) => engine.unloaded)).toBe(true);
  });

  test('tries a broken download again, and gives up with its remedy', async () => {
    await make({}, (engine, n) => {
      if (n < 2) engine.loadFailure = downloadFailed();
    }).start();
    await coordinator.joined(1);
    expect(engines).toHaveLength(3);
    const never = make({}, (engine) => {
      engine.loadFailure = downloadFailed();
    });
    await never.start();
    expect(never.snapshot.failure).toEqual({
      code: 'download_failed',
      message: 'The network failed.',
      remedy: 'Try again.',
    });
  });

  test('leaves a coordinator that sends nonsense, with a reason, and comes back', async () => {
    await make().start();
    const { session } = await coordinator.joined(1);
    session.sendText('{"type":"job-offer"}');
    expect(await session.whenClosed()).toMatchObject({ code: 4400, reason: 'malformed_frame' });
    await coordinator.joined(1);
  });

  test('another protocol version fails for good', async () => {
    const contributor = make();
    await contributor.start();
    (await coordinator.connection()).sendText('{"type":"challenge","protocol":"tussah.v9"}');
    await reached(contributor, 'failed');
    expect(contributor.snapshot.failure?.code).toBe('protocol_mismatch');
  });

  test.each([
    ['wallet_malformed', { wallet: 'mine' }],
    ['coordinator_malformed', { coordinatorUrl: 'ftp://example' }],
  ])('refuses bad settings: %s', async (code, settings) => {
    const contributor = make({ settings });
    await contributor.start();
    expect(contributor.snapshot.failure?.code).toBe(code);
  });
});
