import { describe, expect, it } from 'vitest';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { checkPrivateSums } from '@tussah/protocol/private/check-receipt';
import type { SealedHeader } from '@tussah/protocol/private/header';
import { ledgerAccounts } from '../ledger.ts';
import { PrivateWorld, type NodeHand } from './private-world.ts';

const alice = ledgerAccounts.client('alice');
const three = (world: PrivateWorld) => [world.join('ann'), world.join('bob'), world.join('cyd')] as const;

/** Nobody has lost or got anything. */
function nothingMoved(world: PrivateWorld): void {
  expect(world.state.balances.get(alice)).toBe(1_000_000n);
  expect(world.state.private.jobs.size).toBe(0);
  world.checkBooks();
}

describe('admission', () => {
  it.each<[string, string, Partial<SealedHeader>]>([
    ['the header has ended', 'header_expired', { notAfterMs: 1_000_000 }],
    ['it ends too late', 'header_expired', { notAfterMs: 1_600_001 }],
    ['a candidate is unknown', 'candidate_unknown', { candidates: ['ab'.repeat(32)] }],
    ['the model is another', 'header_mismatch', { model: 'other' }],
    ['the digest is another', 'header_mismatch', { modelDigest: '34'.repeat(32) }],
    ['the suite is weaker or stronger', 'header_mismatch', { suite: 'xwing-hkdf-sha256-aes256gcm' }],
    ['it could cost too much', 'insufficient_balance', { maxPriceNano: '2000000', maxTokens: 1_000_000 }],
  ])('is refused when %s', (_, code, change) => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node], change);
    expect(world.heard(jobId)).toMatchObject({ code, ends: 1 });
    expect(node.last('sealed-offer')).toBeUndefined();
    nothingMoved(world);
  });

  it('is refused where there is no private tier, and while the coordinator drains', () => {
    const none = new PrivateWorld({ privateTier: false });
    expect(none.heard(none.submit([none.join('ann')])).code).toBe('tier_unavailable');
    const world = new PrivateWorld();
    const node = world.join('ann');
    world.drain();
    expect(world.heard(world.submit([node])).code).toBe('shutting_down');
    expect(node.last('drain')).toBeDefined();
  });

  it('is refused to an id that was used, as long as its header could count', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.serve(jobId);
    expect(world.heard(world.submit([node], { jobId })).code).toBe('job_known');
  });

  it('holds what the dearest candidate could cost, but no more than the client allows', () => {
    const world = new PrivateWorld();
    const dear = { promptNanoPerMillion: '2000000', completionNanoPerMillion: '4000000' };
    const nodes = [world.join('ann'), world.join('bob', { price: dear })];
    const first = world.submit(nodes);
    expect(world.state.private.jobs.get(first)?.reservedNano).toBe(400n);
    const second = world.submit(nodes, { maxPriceNano: '33' });
    expect(world.state.private.jobs.get(second)?.reservedNano).toBe(33n);
    world.checkBooks();
  });

  it('bounds the jobs of an account, and what guests may cost', () => {
    const world = new PrivateWorld({ concurrentPerAccount: 1 });
    const node = world.join('ann');
    world.submit([node]);
    expect(world.heard(world.submit([node])).code).toBe('rate_limited');
    const guests = {
      totalDailyNano: 250n,
      perNetworkDailyNano: 250n,
      perContributorDailyNano: 250n,
      perOwnerDailyNano: 250n,
      concurrentPerNetwork: 8,
      maxTokens: 50,
    };
    const poor = new PrivateWorld({ guests });
    const serving = poor.join('ann');
    const long = poor.submit([serving], { maxTokens: 51 }, { guest: true });
    expect(poor.heard(long).code).toBe('invalid_request');
    poor.submit([serving], {}, { guest: true });
    expect(poor.heard(poor.submit([serving], {}, { guest: true })).code).toBe('guest_budget_exhausted');
    poor.checkBooks();
    // No operator earns more from guests than this, however many networks they come from.
    const capped = new PrivateWorld({
      guests: { ...guests, totalDailyNano: 1_000n, perNetworkDailyNano: 1_000n },
    });
    const greedy = capped.join('ann');
    for (let i = 0; i < 3; i++) greedy.serve(capped.submit([greedy], {}, { guest: true }));
    expect(capped.heard(capped.submit([greedy], {}, { guest: true })).code).toBe('guest_budget_exhausted');
  });
});

describe('a job', () => {
  it('goes to its first candidate and is charged by the signed count', () => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    const jobId = world.submit([ann, bob]);
    expect(ann.last('sealed-offer')).toMatchObject({ candidate: 0, body: 'sealed' });
    expect(bob.last('sealed-offer')).toBeUndefined();
    ann.serve(jobId);
    const { receipt, ...heard } = world.heard(jobId);
    expect(heard).toMatchObject({ assigned: 0, skipped: [], chunks: [0, 1], code: undefined, ends: 1 });
    if (receipt === undefined) throw new Error('no receipt');
    expect(checkPrivateSums(receipt).filter(({ ok }) => !ok)).toEqual([]);
    expect([receipt.chargedNano, receipt.networkFeeNano, receipt.payNano]).toEqual(['20', '1', '19']);
    expect(world.state.balances.get(alice)).toBe(999_980n);
    expect(world.state.balances.get(ledgerAccounts.contributor(ann.identity))).toBe(19n);
    expect(ann.last('job-settled')).toMatchObject({ payNano: '19', earnedNano: '19', tokens: 5 });
    expect(world.state.private.jobs.size).toBe(0);
    world.checkBooks();
  });

  it('is never charged more than what was held', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node], { maxPriceNano: '15' });
    node.serve(jobId);
    expect(world.heard(jobId).receipt).toMatchObject({ heldNano: '15', chargedNano: '15', payNano: '15' });
    world.checkBooks();
  });

  it('costs nothing when nothing is asked for it', () => {
    const world = new PrivateWorld();
    const free = { promptNanoPerMillion: '0', completionNanoPerMillion: '0' };
    const node = world.join('ann', { price: free });
    const jobId = world.submit([node]);
    node.serve(jobId);
    expect(world.heard(jobId).receipt?.chargedNano).toBe('0');
    nothingMoved(world);
  });

  it('says nothing of its end before the books are written', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    world.writes = false;
    const jobId = world.submit([node]);
    node.serve(jobId);
    expect(world.heard(jobId).ends).toBe(0);
    const effect = world.effects.find(({ type }) => type === 'settle-sealed');
    if (effect?.type !== 'settle-sealed') throw new Error('nothing to settle');
    world.settle(effect);
    expect(world.heard(jobId).receipt).toBeDefined();
  });

  it('that the books cannot take costs nothing', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    world.writes = false;
    const jobId = world.submit([node]);
    node.serve(jobId);
    world.post({ type: 'sealed-settlement-failed', jobId });
    expect(world.heard(jobId)).toMatchObject({ code: 'store_failed', ends: 1 });
    nothingMoved(world);
  });

  it('that came from a guest is paid by the operator and counted', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node], {}, { guest: true });
    node.serve(jobId);
    expect(world.heard(jobId).receipt?.payer).toBe('guest');
    expect(world.state.balances.get(ledgerAccounts.guests)).toBe(999_980n);
    expect(world.state.guests.byNetwork.get('guest:net')).toBe(20n);
  });
});

describe("the client's order", () => {
  it('is left only with a signed refusal, or with an entry that says that the candidate has left', () => {
    const world = new PrivateWorld();
    const [ann, bob, cyd] = three(world);
    const jobId = world.submit([ann, bob, cyd]);
    ann.refuse(jobId, 'too_long');
    expect(bob.last('sealed-offer')).toMatchObject({ candidate: 1, body: 'sealed' });
    bob.vanish();
    expect(cyd.last('sealed-offer')).toMatchObject({ candidate: 2 });
    cyd.serve(jobId);
    const { assigned, skipped } = world.heard(jobId);
    expect(assigned).toBe(2);
    expect(skipped).toMatchObject([
      { kind: 'refused', signed: { refusal: { jobId, code: 'too_long', bundle: ann.bundle } } },
      { kind: 'left', index: 3, entry: { kind: 'left', bundle: bob.bundle, reason: 'disconnected' } },
    ]);
    expect(world.heard(jobId).receipt?.node.receipt.identity).toBe(cyd.identity);
  });

  it('waits until the departure is durable', () => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    world.writes = false;
    const jobId = world.submit([ann, bob]);
    ann.vanish();
    expect(bob.last('sealed-offer')).toBeUndefined();
    expect(world.state.private.jobs.get(jobId)?.phase).toBe('placing');
    world.write();
    expect(bob.last('sealed-offer')).toBeDefined();
  });

  it('fails when the departure cannot be written, and when the client does not wait for it', () => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    world.writes = false;
    const [slow, gone] = [world.submit([ann, bob]), world.submit([ann, bob])];
    ann.vanish();
    world.abandon(gone);
    world.waitAlive(privateLimits.acceptTimeoutMs, bob);
    expect([world.heard(slow).code, world.heard(gone).code]).toEqual(['store_failed', 'client_gone']);
    world.write();
    expect(bob.last('sealed-offer')).toBeUndefined();
    nothingMoved(world);
  });

  it('passes by a candidate that does not answer within five seconds, which is sent away as silent', () => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    const jobId = world.submit([ann, bob]);
    world.wait(privateLimits.acceptTimeoutMs - 1);
    expect(bob.last('sealed-offer')).toBeUndefined();
    world.wait(1);
    expect(ann.closed).toBe(true);
    expect(bob.last('sealed-offer')).toBeDefined();
    bob.serve(jobId);
    expect(world.heard(jobId).skipped).toMatchObject([{ kind: 'left', entry: { reason: 'silent' } }]);
  });

  it('passes by one whose bundle has ended', () => {
    const world = new PrivateWorld();
    const ann = world.join('ann', {}, 20_000);
    const bob = world.join('bob');
    world.waitAlive(20_000, ann, bob);
    const jobId = world.submit([ann, bob]);
    expect(bob.last('sealed-offer')).toBeDefined();
    bob.serve(jobId);
    expect(world.heard(jobId).skipped).toMatchObject([{ kind: 'left', entry: { reason: 'expired' } }]);
  });

  it('still finds a node by its old keys during the overlap', () => {
    const world = new PrivateWorld({ epochIntervalMs: 0 });
    const node = world.join('ann');
    const { bundle } = node;
    node.send({ type: 'epoch-request' });
    node.attest();
    const jobId = world.submit([node], { candidates: [bundle] });
    node.serve(jobId);
    expect(world.heard(jobId).receipt?.node.receipt.bundle).toBe(bundle);
  });

  it('is not left because a node has much to do: the client is told', () => {
    const world = new PrivateWorld({ nodeQueue: 1 });
    const [ann, bob] = three(world);
    const jobs = Array.from({ length: 4 }, () => world.submit([ann, bob]));
    expect(jobs.map((jobId) => world.heard(jobId).code)).toEqual([
      undefined,
      undefined,
      undefined,
      'node_busy',
    ]);
    expect(bob.last('sealed-offer')).toBeUndefined();
    world.checkBooks();
  });

  it('ends with all refusals when nobody is left', () => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    const jobId = world.submit([ann, bob]);
    ann.refuse(jobId);
    bob.refuse(jobId, 'draining');
    const { code, skipped } = world.heard(jobId);
    expect(code).toBe('no_candidate');
    expect(skipped.map((skip) => (skip.kind === 'refused' ? skip.signed.refusal.code : ''))).toEqual([
      'busy',
      'draining',
    ]);
    nothingMoved(world);
  });
});

describe('a node', () => {
  it.each([
    [
      'a refusal with a wrong signature',
      (node: NodeHand, id: string) => node.refuse(id, 'busy', { valid: false }),
    ],
    [
      'a refusal for another bundle',
      (node: NodeHand, id: string) => node.refuse(id, 'busy', { bundle: 'ab'.repeat(32) }),
    ],
    ['a chunk of a job that it has not accepted', (node: NodeHand, id: string) => node.say(id)],
    ['a receipt for a job that it has not accepted', (node: NodeHand, id: string) => node.done(id)],
  ])('that begins with %s is sent away, and its job goes on', (_, act) => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    const jobId = world.submit([ann, bob]);
    act(ann, jobId);
    expect(ann.closed).toBe(true);
    expect(world.directory.at(-1)).toMatchObject({ kind: 'left', reason: 'misbehaved' });
    if (world.heard(jobId).code === undefined) bob.serve(jobId);
    expect(world.heard(jobId).ends).toBe(1);
    world.checkBooks();
  });

  const more = { promptNanoPerMillion: '9', completionNanoPerMillion: '9' };
  it.each([
    ['more tokens of prompt', { promptTokens: 101 }, true],
    ['more tokens of answer', { completionTokens: 51 }, true],
    ['another price', { price: more }, true],
    ['another header', { headerHash: 'ab'.repeat(32) }, true],
    ['another bundle', { bundle: 'ab'.repeat(32) }, true],
    ['another identity', { identity: 'ab'.repeat(32) }, true],
    ['another model', { model: 'other' }, true],
    ['other chunks', { chunks: 7 }, true],
    ['a cancellation that nobody asked for', { outcome: 'cancelled' }, true],
    ['a wrong signature', {}, false],
  ] as const)('whose receipt has %s is sent away, and nothing is charged', (_, change, valid) => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    node.say(jobId, true);
    node.done(jobId, change, valid);
    expect(node.closed).toBe(true);
    expect(world.directory.at(-1)).toMatchObject({ reason: 'misbehaved' });
    expect(world.heard(jobId)).toMatchObject({ code: 'node_misbehaved', receipt: undefined, ends: 1 });
    nothingMoved(world);
  });

  it.each([
    ['accepts twice', (node: NodeHand, id: string) => node.accept(id)],
    ['refuses what it has accepted', (node: NodeHand, id: string) => node.refuse(id)],
    ['leaves out a chunk', (node: NodeHand, id: string) => node.say(id, false, 2)],
    ['repeats a chunk', (node: NodeHand, id: string) => node.say(id, false, 0)],
    ['signs before its last chunk', (node: NodeHand, id: string) => node.done(id)],
  ])('that %s is sent away', (_, act) => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    node.say(jobId);
    act(node, jobId);
    expect(node.closed).toBe(true);
    expect(world.heard(jobId).code).toBe('node_misbehaved');
    nothingMoved(world);
  });

  it('that speaks after its last chunk is sent away', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    node.say(jobId, true);
    node.say(jobId);
    expect([node.closed, world.heard(jobId).code]).toEqual([true, 'node_misbehaved']);
  });

  it.each([
    ['before its first chunk', 0],
    ['in the middle', 1],
    ['after its last chunk', 2],
  ])('that is lost %s costs nothing', (_, chunks) => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    for (let i = 0; i < chunks; i++) node.say(jobId, i === 1);
    node.vanish();
    expect(world.heard(jobId)).toMatchObject({ code: 'node_lost', ends: 1 });
    nothingMoved(world);
  });

  it('that is lost while its receipt is written is paid', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    world.writes = false;
    const jobId = world.submit([node]);
    node.serve(jobId);
    node.vanish();
    const effect = world.effects.find(({ type }) => type === 'settle-sealed');
    if (effect?.type === 'settle-sealed') world.settle(effect);
    expect(world.heard(jobId)).toMatchObject({ code: undefined, ends: 1 });
    expect(world.state.balances.get(ledgerAccounts.contributor(node.identity))).toBe(19n);
  });

  it('that stops in the middle of an answer fails it, and is told', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    node.say(jobId);
    world.waitAlive(world.state.config.tokenSilenceMs - 1, node);
    expect(world.heard(jobId).ends).toBe(0);
    world.wait(1);
    expect(world.heard(jobId).code).toBe('node_lost');
    expect(node.last('job-cancel')?.jobId).toBe(jobId);
    // What it says of it now means nothing.
    node.say(jobId, true, 1);
    node.done(jobId);
    expect(node.closed).toBe(false);
    nothingMoved(world);
  });

  it('that never signs fails its job', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    node.say(jobId, true);
    world.wait(privateLimits.acceptTimeoutMs);
    expect(world.heard(jobId).code).toBe('node_lost');
    nothingMoved(world);
  });

  it('that goes on for too long is stopped, and paid for what it signs', () => {
    const world = new PrivateWorld({ tokenSilenceMs: Number.MAX_SAFE_INTEGER });
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.accept(jobId);
    node.say(jobId);
    world.waitAlive(privateLimits.jobMaxMs, node);
    expect(node.last('job-cancel')?.jobId).toBe(jobId);
    node.done(jobId, { outcome: 'cancelled' });
    expect(world.heard(jobId)).toMatchObject({ receipt: { chargedNano: '20' }, ends: 1 });
    // As the store counts, so that a restart changes no figure.
    expect([world.state.answered, world.state.completionTokens]).toEqual([0, 5]);
  });

  it('that drains finishes what runs', () => {
    const world = new PrivateWorld();
    const [ann, bob] = three(world);
    const running = world.submit([ann]);
    ann.accept(running);
    ann.send({ type: 'status', state: 'draining' });
    const next = world.submit([ann, bob]);
    expect(bob.last('sealed-offer')?.header.jobId).toBe(next);
    ann.say(running, true);
    ann.done(running);
    expect(world.heard(running).receipt).toBeDefined();
  });
});

describe('a client that goes', () => {
  it.each([
    ['while it is offered', false, 0],
    ['before the first chunk', true, 0],
    ['in the middle', true, 1],
  ])('%s is charged what the node signs', (_, accepted, chunks) => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    if (accepted) node.accept(jobId);
    for (let i = 0; i < chunks; i++) node.say(jobId);
    world.abandon(jobId);
    expect(node.last('job-cancel')?.jobId).toBe(jobId);
    // What was under way.
    if (!accepted) node.accept(jobId);
    node.say(jobId);
    node.done(jobId, { outcome: 'cancelled', completionTokens: chunks, chunks: chunks + 1 });
    expect(world.heard(jobId).receipt?.chargedNano).toBe(String(10 + 2 * chunks));
    expect(world.heard(jobId).chunks).toHaveLength(chunks);
    world.checkBooks();
  });

  it('is charged nothing when the node refuses, does not sign in time, or is lost', () => {
    const world = new PrivateWorld();
    const nodes = three(world);
    const jobs = nodes.map((node) => world.submit([node]));
    jobs.forEach((jobId) => world.abandon(jobId));
    nodes[0].refuse(jobs[0] ?? '');
    nodes[1].vanish();
    world.wait(privateLimits.acceptTimeoutMs);
    expect(jobs.map((jobId) => world.heard(jobId).code)).toEqual([
      'client_gone',
      'client_gone',
      'client_gone',
    ]);
    expect(nodes[2].closed).toBe(false);
    nothingMoved(world);
  });

  it('changes nothing once the answer is signed', () => {
    const world = new PrivateWorld();
    const node = world.join('ann');
    const jobId = world.submit([node]);
    node.serve(jobId);
    world.abandon(jobId);
    expect(world.heard(jobId)).toMatchObject({ ends: 1, code: undefined });
  });
});
