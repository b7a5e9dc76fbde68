import type { CoordinatorNodeFrame } from '@tussah/protocol/private/node-frames';
import { describe, expect, it } from 'vitest';
import { renewAtMs } from './session-epochs.ts';
import { deadlineOf, legalFrames, step } from './session-machine.ts';
import { initialState, timing, type Effect, type SessionEvent, type SessionState } from './session-state.ts';

const key = 'c0'.repeat(32);
const nonce = '11'.repeat(32);
const bundle = 'b1'.repeat(32);
const HOUR = 3_600_000;

class World {
  state: SessionState = initialState;
  nowMs = 1_000_000;
  effects: Effect[] = [];

  on(event: SessionEvent): this {
    const { state, effects } = step(this.state, event, { nowMs: this.nowMs, random: 0.5 });
    this.state = state;
    this.effects = [...effects];
    return this;
  }

  frame(frame: CoordinatorNodeFrame): this {
    return this.on({ type: 'frame', connection: this.state.connection, frame });
  }

  /** To the next deadline. */
  wait(): this {
    this.nowMs = deadlineOf(this.state) ?? this.nowMs;
    return this.on({ type: 'time' });
  }

  get done(): string[] {
    return this.effects.map((effect) =>
      effect.do === 'send' ? effect.frame.type : effect.do === 'tell' ? effect.what.event : effect.do,
    );
  }
}

const challenge = { type: 'challenge', protocol: 'tussah-node.v1', coordinator: key, nonce } as const;
const welcome = { type: 'welcome', heartbeatMs: 15_000, earnedNano: '0', networkFeeBasisPoints: 0 } as const;
const hello = {
  type: 'hello',
  protocol: 'tussah-node.v1',
  publicKey: key,
  signature: 'ab'.repeat(64),
  wallet: null,
  agent: 'test',
} as const;

function connected(): World {
  const world = new World().on({ type: 'start' });
  world.on({ type: 'socket-open', connection: 1 }).frame(challenge);
  return world.on({ type: 'hello-signed', connection: 1, hello });
}
const welcomed = () => connected().frame(welcome);

function attest(world: World, name = bundle, lifeMs = HOUR): World {
  world.frame({ type: 'epoch', epochNonce: nonce });
  const offer = {
    coordinator: key,
    identity: key,
    bundle: name,
    epochNonce: nonce,
    model: 'm',
    price: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' },
    contextTokens: 1,
    concurrency: 1,
  };
  const notAfterMs = world.nowMs + lifeMs;
  const frame = { type: 'attest', bundle: '{}', offer, signature: 'ab'.repeat(64) } as const;
  world.on({ type: 'bundle-made', epochNonce: nonce, bundle: name, notAfterMs, attest: frame });
  return world.frame({ type: 'attested', bundle: name, notAfterMs, index: 0 });
}

describe('the connection', () => {
  it('goes through its handshake to the first epoch', () => {
    const world = new World().on({ type: 'start' });
    expect(world.done).toEqual(['open-socket', 'connecting']);
    expect(world.on({ type: 'socket-open', connection: 1 }).frame(challenge).done).toEqual(['sign-hello']);
    expect(world.on({ type: 'hello-signed', connection: 1, hello }).done).toEqual(['hello']);
    expect(world.frame(welcome).done).toEqual(['welcomed']);
    expect(attest(world).done).toEqual(['attested']);
    expect(world.state.current).toMatchObject({ bundle });
  });

  it('answers pings, and ends when nothing is heard any more', () => {
    const world = attest(welcomed());
    expect(world.frame({ type: 'ping', n: 7 }).done).toEqual(['pong']);
    world.nowMs += timing.heartbeatTimeoutMs;
    expect(world.on({ type: 'time' }).done).toEqual(['close-socket', 'forget-all', 'connection-lost']);
    expect(world.state).toMatchObject({ link: { at: 'waiting' }, current: null, coming: { at: 'none' } });
    expect(world.wait().done).toEqual(['open-socket', 'connecting']);
  });

  it('waits longer after each failure, and not after a connection that held', () => {
    const delays = [];
    const world = new World().on({ type: 'start' });
    for (let i = 0; i < 4; i++) {
      world.on({ type: 'socket-closed', connection: world.state.connection, reason: 'refused' });
      delays.push((deadlineOf(world.state) ?? 0) - world.nowMs);
      world.wait();
    }
    expect(delays).toEqual([375, 750, 1_500, 3_000]);
  });

  it('waits longer each time its evidence is refused, however long making it took', () => {
    const delays = [];
    const world = welcomed();
    const reconnect = () => {
      world.wait();
      const { connection } = world.state;
      world.on({ type: 'socket-open', connection }).frame(challenge);
      world.on({ type: 'hello-signed', connection, hello }).frame(welcome);
    };
    const refused = { type: 'refused', code: 'evidence_rejected', message: 'no', remedy: 'x' } as const;
    for (let i = 0; i < 3; i++) {
      world.nowMs += 25_000;
      world.frame({ ...refused, retry: true });
      delays.push((deadlineOf(world.state) ?? 0) - world.nowMs);
      reconnect();
    }
    expect(delays).toEqual([375, 750, 1_500]);
    attest(world);
    world.nowMs += 25_000;
    world.on({ type: 'socket-closed', connection: world.state.connection, reason: 'gone' });
    expect((deadlineOf(world.state) ?? 0) - world.nowMs).toBe(375);
  });

  it('reads nothing of an old socket', () => {
    const world = welcomed();
    const before = world.state;
    world.on({ type: 'socket-closed', connection: 0, reason: 'old' });
    expect(world.state).toEqual(before);
  });

  it('ends for good when it is refused for good', () => {
    const refused = { type: 'refused', code: 'evidence_rejected', message: 'no', remedy: 'x' } as const;
    expect(welcomed().frame({ ...refused, retry: true }).state.link.at).toBe('waiting');
    const world = welcomed().frame({ ...refused, retry: false });
    expect(world.state.link).toMatchObject({ at: 'failed', failure: { code: 'evidence_rejected' } });
    expect(world.done).toContain('forget-all');
  });

  it('drains: keeps its jobs, then comes back', () => {
    const world = attest(welcomed()).on({ type: 'jobs', running: 1 });
    world.frame({ type: 'drain', reason: 'restart', reconnectAfterMs: 5_000 });
    expect(world.state.link.at).toBe('draining');
    expect(world.on({ type: 'jobs', running: 0 }).done).toEqual([
      'close-socket',
      'forget-all',
      'connection-lost',
    ]);
  });
});

describe('what the coordinator may not say', () => {
  const frames: CoordinatorNodeFrame[] = [
    challenge,
    welcome,
    { type: 'epoch', epochNonce: nonce },
    { type: 'attested', bundle, notAfterMs: 1, index: 0 },
    { type: 'job-cancel', jobId: 'job_x', reason: '' },
  ];
  const worlds = {
    'challenge-awaited': () => new World().on({ type: 'start' }).on({ type: 'socket-open', connection: 1 }),
    'welcome-awaited': connected,
  } as const;
  const illegal = (['challenge-awaited', 'welcome-awaited'] as const).flatMap((at) =>
    frames
      .filter(({ type }) => !(legalFrames[at] as readonly string[]).includes(type))
      .map((frame) => [frame.type, at, frame] as const),
  );

  it.each(illegal)('%s while %s', (_, at, frame) => {
    const world = worlds[at]().frame(frame);
    expect(world.done).toEqual(['close-socket', 'forget-all', 'connection-lost']);
  });

  it.each([
    ['a second nonce', (world: World) => world.frame({ type: 'epoch', epochNonce: nonce })],
    [
      'attested before there is a bundle',
      (world: World) => world.frame({ type: 'attested', bundle, notAfterMs: 1, index: 0 }),
    ],
  ])('%s', (_, act) => {
    const world = welcomed().frame({ type: 'epoch', epochNonce: nonce });
    expect(act(world).state.link.at).toBe('waiting');
  });

  it('attested for another bundle', () => {
    const world = welcomed();
    world.frame({ type: 'epoch', epochNonce: nonce });
    const notAfterMs = world.nowMs + HOUR;
    const attestFrame = { type: 'attest' } as never;
    world.on({ type: 'bundle-made', epochNonce: nonce, bundle, notAfterMs, attest: attestFrame });
    expect(
      world.frame({ type: 'attested', bundle: 'ff'.repeat(32), notAfterMs, index: 0 }).state.link.at,
    ).toBe('waiting');
  });
});

describe('epochs', () => {
  it('are renewed ten minutes before the end, or after half of a short life', () => {
    expect(renewAtMs(0, HOUR)).toBe(HOUR - 600_000);
    expect(renewAtMs(0, 600_000)).toBe(300_000);
  });

  it('overlap, and end with their bundle', () => {
    const world = attest(welcomed());
    const firstEnd = world.state.current?.notAfterMs ?? 0;
    const alive = (untilMs: number) => {
      while (world.nowMs < untilMs) {
        world.nowMs = Math.min(untilMs, world.nowMs + 30_000);
        world.frame({ type: 'ping', n: 1 });
      }
    };
    alive(firstEnd - 600_000);
    expect(world.state.coming.at).toBe('nonce-awaited');
    attest(world, 'b2'.repeat(32));
    expect(world.state).toMatchObject({ current: { bundle: 'b2'.repeat(32) }, overlapping: [{ bundle }] });
    alive(firstEnd - 1);
    expect(world.state.overlapping).toHaveLength(1);
    world.nowMs = firstEnd;
    expect(world.on({ type: 'time' }).effects).toContainEqual({ do: 'forget-epoch', bundle });
    expect(world.state.overlapping).toEqual([]);
  });

  it('are asked for again, later each time, when the machine gives no evidence', () => {
    const world = welcomed();
    const delays = [];
    for (let i = 0; i < 3; i++) {
      world.frame({ type: 'epoch', epochNonce: nonce }).on({ type: 'bundle-failed', epochNonce: nonce });
      delays.push((world.state.coming.at === 'retrying' ? world.state.coming.atMs : 0) - world.nowMs);
      world.nowMs += delays.at(-1) ?? 0;
      expect(world.frame({ type: 'ping', n: 1 }).done).toEqual(['epoch-request', 'pong']);
    }
    expect(delays).toEqual([9_000, 18_000, 36_000]);
  });

  it('forgets a bundle that was made for a connection that is gone', () => {
    const world = welcomed().frame({ type: 'epoch', epochNonce: nonce });
    world.on({ type: 'socket-closed', connection: 1, reason: 'gone' });
    world.on({ type: 'bundle-made', epochNonce: nonce, bundle, notAfterMs: 1, attest: {} as never });
    expect(world.effects).toEqual([{ do: 'forget-epoch', bundle }]);
  });
});

it('stops at once when nothing runs, else after the last job', () => {
  expect(attest(welcomed()).on({ type: 'finish' }).state.link.at).toBe('stopped');
  const busy = attest(welcomed()).on({ type: 'jobs', running: 2 }).on({ type: 'finish' });
  expect(busy.done).toEqual(['status', 'draining']);
  expect(busy.on({ type: 'jobs', running: 1 }).state.link.at).toBe('welcomed');
  expect(busy.on({ type: 'jobs', running: 0 }).state.link.at).toBe('stopped');
});
