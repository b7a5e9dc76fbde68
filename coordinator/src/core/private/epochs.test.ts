import { describe, expect, it } from 'vitest';
import { fail, failure } from '@tussah/protocol/errors';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { NodeHand, PrivateWorld, recoveredFrom } from './private-world.ts';
import { currentEpochs, nodesByModel } from './views.ts';

const listed = (world: PrivateWorld) => currentEpochs(world.state.private).map(({ bundle }) => bundle);
const reasons = (world: PrivateWorld) =>
  world.directory.flatMap((entry) => (entry.kind === 'left' ? [entry.reason] : []));
const closeCode = (world: PrivateWorld) =>
  world.effects.flatMap((effect) => (effect.type === 'close-node' ? [effect.refusal.code] : []));

describe('a session', () => {
  it('begins with a challenge, and gives a nonce to whoever proves an identity', () => {
    const world = new PrivateWorld();
    const node = world.connect('ann');
    expect(node.last('challenge')?.coordinator).toBe(world.state.coordinator);
    node.prove();
    expect(node.last('welcome')).toMatchObject({ earnedNano: '0', networkFeeBasisPoints: 500 });
    expect(node.last('epoch')?.epochNonce).toMatch(/^[0-9a-f]{64}$/);
    expect(world.directory).toEqual([]);
  });

  it('ends when the identity is not proven, or not in time', () => {
    const world = new PrivateWorld();
    const liar = world.connect('ann');
    liar.prove(false);
    expect(liar.closed).toBe(true);
    const mute = world.connect('bob');
    world.wait(world.state.config.helloTimeoutMs);
    expect(mute.closed).toBe(true);
    expect(closeCode(world)).toEqual(['key_not_proven', 'timeout']);
  });

  it.each([
    ['before a hello', (node: NodeHand) => node.send({ type: 'epoch-request' })],
    ['before a hello, with evidence', (node: NodeHand) => node.present()],
  ])('ends with a frame %s', (_, act) => {
    const world = new PrivateWorld();
    const node = world.connect('ann');
    act(node);
    expect(node.closed).toBe(true);
    expect(closeCode(world)).toEqual(['illegal_frame']);
  });

  it.each([
    ['a second hello', (node: NodeHand) => node.prove()],
    ['a pong to no ping', (node: NodeHand) => node.send({ type: 'pong', n: 1 })],
    ['an epoch-request too soon', (node: NodeHand) => node.send({ type: 'epoch-request' })],
    ['a job that it was never offered', (node: NodeHand) => node.accept(`job_${'0'.repeat(24)}`)],
  ])('ends with %s', (_, act) => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    act(node);
    expect(closeCode(world)).toEqual(['illegal_frame']);
    expect(reasons(world)).toEqual(['misbehaved']);
  });

  it('ends in silence, and goes on while pings are answered', () => {
    const world = new PrivateWorld();
    const [alive, dead] = [world.join('ann'), world.join('bob')];
    world.waitAlive(60_000, alive);
    expect([alive.closed, dead.closed]).toEqual([false, true]);
    expect(reasons(world)).toEqual(['silent']);
  });
});

describe('an epoch', () => {
  it('is in the directory before anybody is told, and is listed from then on', () => {
    const world = new PrivateWorld();
    world.writes = false;
    const node = world.join('ann');
    expect([listed(world), node.last('attested')]).toEqual([[], undefined]);
    world.write();
    expect(listed(world)).toEqual([node.bundle]);
    expect(node.last('attested')).toMatchObject({ bundle: node.bundle, index: 0 });
    expect(world.directory[0]).toMatchObject({ kind: 'joined', bundle: node.bundle });
    expect(nodesByModel(world.state.private)).toMatchObject([{ model: 'confidential', nodes: 1 }]);
  });

  it('needs a nonce: each is good for one bundle, for two minutes', () => {
    const world = new PrivateWorld();
    const twice = world.join('ann');
    twice.present();
    const late = world.connect('bob');
    late.prove();
    world.waitAlive(privateLimits.epochNonceMs, late);
    late.present();
    const inTime = world.connect('cyd');
    inTime.prove();
    world.waitAlive(privateLimits.epochNonceMs - 1, inTime);
    inTime.attest();
    expect([twice.closed, late.closed, inTime.closed]).toEqual([true, true, false]);
    expect(closeCode(world)).toEqual(['epoch_nonce_unknown', 'epoch_nonce_unknown']);
    expect(world.effects.filter(({ type }) => type === 'check-bundle')).toHaveLength(2);
  });

  it('is checked with the nonce of its own connection, one bundle at a time', () => {
    const world = new PrivateWorld();
    const node = world.connect('ann');
    node.prove();
    node.present();
    const check = world.effects.find((effect) => effect.type === 'check-bundle');
    expect(check).toMatchObject({ identity: node.identity, epochNonce: node.last('epoch')?.epochNonce });
    world.waitAlive(10_000, node);
    node.send({ type: 'epoch-request' });
    node.present();
    expect(closeCode(world)).toEqual(['illegal_frame']);
    // The verdict comes when nobody is there any more.
    node.accepted();
    expect(world.directory).toEqual([]);
  });

  it('that is refused ends the session with the step that failed', () => {
    const world = new PrivateWorld();
    const node = world.connect('ann');
    node.prove();
    node.present();
    const { offer, connectionId } = node;
    if (offer === undefined) throw new Error('nothing was presented');
    const checked = fail({ ...failure('internal'), code: 'evidence_rejected', message: 'bundle.not-after' });
    world.post({ type: 'bundle-checked', connectionId, offer, signature: '', checked });
    expect(node.last('refused')).toMatchObject({ code: 'evidence_rejected', message: 'bundle.not-after' });
    expect([node.closed, world.directory.length]).toEqual([true, 0]);
  });

  it('overlaps with the next until its end, is then no longer listed, and leaves as replaced', () => {
    const world = new PrivateWorld();
    const node = world.join('ann', {}, 100_000);
    const first = node.bundle;
    world.waitAlive(50_000, node);
    node.send({ type: 'epoch-request' });
    node.attest();
    expect(listed(world)).toEqual([node.bundle]);
    expect(world.state.private.epochs.get(first)?.phase).toBe('overlapping');
    world.waitAlive(50_000, node);
    expect(world.state.private.epochs.has(first)).toBe(false);
    expect(world.directory.at(-1)).toMatchObject({ kind: 'left', bundle: first, reason: 'replaced' });
  });

  it('that nothing follows expires, and the session may go on', () => {
    const world = new PrivateWorld();
    const node = world.join('ann', {}, 100_000);
    world.waitAlive(99_999, node);
    expect(listed(world)).toEqual([node.bundle]);
    world.wait(1);
    expect([listed(world), reasons(world), node.closed]).toEqual([[], ['expired'], false]);
    node.send({ type: 'epoch-request' });
    node.attest();
    expect(listed(world)).toEqual([node.bundle]);
  });

  it('leaves when its node drains or disconnects, even before its own entry is durable', () => {
    const world = new PrivateWorld();
    const drained = world.join('ann');
    drained.send({ type: 'status', state: 'draining' });
    expect([reasons(world), drained.closed]).toEqual([['drained'], false]);
    world.writes = false;
    const hasty = world.join('bob');
    hasty.vanish();
    world.write();
    expect(world.directory.slice(2)).toMatchObject([
      { kind: 'joined', bundle: hasty.bundle },
      { kind: 'left', bundle: hasty.bundle, reason: 'disconnected' },
    ]);
    expect([listed(world), world.state.private.epochs.size]).toEqual([[], 0]);
  });

  it('is not entered when the node began to drain, or its bundle ended, while it was checked', () => {
    const world = new PrivateWorld();
    const [drains, ends] = [world.connect('ann'), world.connect('bob')];
    for (const node of [drains, ends]) node.prove();
    drains.present();
    drains.send({ type: 'status', state: 'draining' });
    drains.accepted();
    ends.present();
    ends.accepted(0);
    expect(world.directory).toEqual([]);
  });

  it('may follow another of its node in a full directory, whose other nodes lose nothing by the crowd', () => {
    const world = new PrivateWorld({ nodesMax: 2, epochIntervalMs: 0 });
    const [ann, bob] = [world.join('ann'), world.join('bob')];
    for (const node of [ann, bob]) {
      node.send({ type: 'epoch-request' });
      node.attest();
    }
    expect(world.join('eve').closed).toBe(true);
    expect(listed(world)).toEqual([ann.bundle, bob.bundle]);
    expect(reasons(world)).toEqual([]);
  });

  it('that comes in vain for want of room ends the connection without blame', () => {
    const world = new PrivateWorld({ nodesMax: 1, epochIntervalMs: 0 });
    const node = world.join('ann');
    for (let i = 0; i < 5 && !node.closed; i++) {
      node.send({ type: 'epoch-request' });
      node.attest();
    }
    expect(new Set(reasons(world))).toEqual(new Set(['disconnected']));
  });

  it('is refused when the directory is full, and when one node has too many', () => {
    const world = new PrivateWorld({ nodesMax: 1 });
    world.join('ann');
    const late = world.join('bob');
    const other = new PrivateWorld({ epochIntervalMs: 0 });
    const greedy = other.join('ann');
    for (let i = 0; i < 5 && !greedy.closed; i++) {
      greedy.send({ type: 'epoch-request' });
      greedy.attest();
    }
    expect([late.closed, greedy.closed]).toEqual([true, true]);
    expect([closeCode(world), closeCode(other)]).toEqual([['directory_full'], ['directory_full']]);
  });
});

it('after a restart all that were listed leave, and who left before is still known', () => {
  const before = new PrivateWorld();
  const [gone, there] = [before.join('ann'), before.join('bob')];
  gone.vanish();
  const after = new PrivateWorld();
  after.post({ type: 'directory-recovered', ...recoveredFrom(before.directory) });
  expect(after.directory).toMatchObject([{ kind: 'left', bundle: there.bundle, reason: 'disconnected' }]);
  const asked = after.submit([gone, there]);
  const { code, skipped } = after.heard(asked);
  expect(code).toBe('no_candidate');
  expect(skipped).toMatchObject([
    { kind: 'left', index: 2, entry: { bundle: gone.bundle } },
    { kind: 'left', entry: { bundle: there.bundle } },
  ]);
});
