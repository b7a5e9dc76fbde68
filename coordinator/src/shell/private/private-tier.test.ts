/** The private tier over real sockets: dispatch in the client's order, the books, the directory, and what is told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import type { DirectoryHead, DirectoryPage, NodeList } from '@tussah/protocol/private/directory';
import { checkHeads, entryText, isProven } from '@tussah/protocol/private/directory-heads';
import type { SealedHeader } from '@tussah/protocol/private/header';
import { MerkleLog } from '@tussah/protocol/private/merkle';
import { verifyHead, verifyRefusal } from '@tussah/protocol/private/sign-statements';
import type { Skip } from '@tussah/protocol/private/sealed-events';
import type { ErrorBody } from '@tussah/protocol/errors';
import type { Network } from '@tussah/protocol/network';
import { NetworkSchema } from '@tussah/protocol/network';
import { sha256Hex } from '@tussah/protocol/bytes';
import * as v from 'valibot';
import { startNetwork, temporaryFolder, until } from '../testing/harness.ts';
import { refusedUpgrade } from '../testing/raw-socket.ts';
import {
  readAnswer,
  sealTo,
  startPrivateNetwork,
  withHeader,
  type PrivateNetwork,
} from './private-harness.ts';
import { NODE_MODEL, type NodeJob } from './scripted-node.ts';

const list = (tier: PrivateNetwork, query = '') => tier.network.get<NodeList>(`/v1/nodes${query}`);
const says = () => ['Hello', ', ', 'world'];
const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;

/** What a client checks of a skip: the refusal's signature, or a departure after the head that it chose from. */
async function proves(skip: Skip | undefined, from: DirectoryHead, receiptKey: string): Promise<boolean> {
  if (skip === undefined) return false;
  if ('refusal' in skip) return verifyRefusal(receiptKey, skip);
  const { head, index, entry } = skip;
  return (await verifyHead(head)) && entry.kind === 'left' && index >= from.size && isProven(skip, head);
}

describe('a sealed job', () => {
  it('is answered by its first candidate, charged by the signed count, and proven by its receipt', async () => {
    const tier = await startPrivateNetwork();
    const { account, key } = await tier.network.account('1000000');
    const node = await tier.node(says);
    const sealed = await sealTo([node], 'a question');
    const answer = await tier.ask(sealed, { key });
    expect(answer).toMatchObject({
      status: 200,
      text: 'Hello, world',
      candidate: 0,
      whole: true,
      done: true,
    });
    const { receipt } = answer;
    const verdict = await checkPrivateReceipt(receipt, {
      coordinator: tier.network.publicKey,
      receiptKey: node.epoch.receiptKey.publicKey,
      headerHash: sealed.headerHash,
      promptTokens: 7,
      completionTokens: 3,
    });
    expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(receipt?.chargedNano).toBe('13');
    expect(await tier.network.balanceOf(account)).toBe(1_000_000n - 13n);
    expect(await tier.network.get(`/v1/receipts?job=${sealed.request.header.jobId}`)).toEqual(receipt);
    expect(await tier.network.get(`/v1/receipts/${receipt?.id}`)).toEqual(receipt);
    expect((await node.frame('job-settled')).payNano).toBe(receipt?.payNano);
  });

  it('goes on to the next candidate with a signed refusal, and with a departure that verifies', async () => {
    const tier = await startPrivateNetwork();
    const nodes = await Promise.all([
      tier.node(() => 'busy'),
      tier.node((job: NodeJob) => {
        job.node.vanish();
        return 'ignore';
      }),
      tier.node(says, { suite: 'x25519-hkdf-sha256-aes256gcm' }),
    ]);
    const { head } = await list(tier);
    const answer = await tier.ask(await sealTo(nodes, 'a question'));
    expect(answer).toMatchObject({ candidate: 2, text: 'Hello, world' });
    const receiptKey = nodes[0].epoch.receiptKey.publicKey;
    expect(await proves(answer.skipped[0], head, receiptKey)).toBe(true);
    expect(await proves(answer.skipped[1], head, receiptKey)).toBe(true);
    expect(answer.skipped).toHaveLength(2);
  });

  it('passes by a silent candidate after five seconds, with its departure', async () => {
    const tier = await startPrivateNetwork();
    const nodes = await Promise.all([tier.node(() => 'ignore'), tier.node(says)]);
    const { head } = await list(tier);
    const answer = await tier.ask(await sealTo(nodes, 'a question'));
    expect(answer.candidate).toBe(1);
    expect(answer.skipped[0]).toMatchObject({ entry: { reason: 'silent' } });
    expect(await proves(answer.skipped[0], head, '')).toBe(true);
    expect((await nodes[0].refused()).code).toBe('timeout');
  }, 15_000);

  it('that nobody takes ends with all refusals', async () => {
    const tier = await startPrivateNetwork();
    const nodes = await Promise.all([tier.node(() => 'busy'), tier.node(() => 'draining')]);
    const answer = await tier.ask(await sealTo(nodes, 'a question'));
    expect(answer).toMatchObject({ status: 200, code: 'no_candidate', done: false, candidate: undefined });
    expect(answer.skipped).toHaveLength(2);
  });

  it('whose node is lost in the middle costs nothing', async () => {
    const tier = await startPrivateNetwork();
    const { account, key } = await tier.network.account('1000000');
    const node = await tier.node(async (job) => {
      await job.accept();
      await job.say({ text: 'Hel' });
      job.node.vanish();
    });
    const answer = await tier.ask(await sealTo([node], 'a question'), { key });
    expect(answer).toMatchObject({ text: 'Hel', whole: false, code: 'node_lost', receipt: undefined });
    expect(await tier.network.balanceOf(account)).toBe(1_000_000n);
  });

  it('whose node signs too much is charged nothing, and the node leaves as misbehaved', async () => {
    const tier = await startPrivateNetwork();
    const { account, key } = await tier.network.account('1000000');
    const node = await tier.node(async (job) => {
      await job.accept();
      await job.say({ text: 'Hello' }, true);
      await job.finish({ completionTokens: 51 });
    });
    const answer = await tier.ask(await sealTo([node], 'a question'), { key });
    expect(answer).toMatchObject({ text: 'Hello', code: 'node_misbehaved' });
    expect(await tier.network.balanceOf(account)).toBe(1_000_000n);
    const { entries } = await tier.network.get<DirectoryPage>('/v1/nodes/entries?from=1&to=2');
    expect(entries).toMatchObject([{ kind: 'left', reason: 'misbehaved', bundle: node.epoch.bundle }]);
  });

  it('whose client goes is settled by what the node signs', async () => {
    const tier = await startPrivateNetwork();
    const { account, key } = await tier.network.account('1000000');
    const node = await tier.node(() => Array.from({ length: 50 }, () => 'x'), { delayMs: 20 });
    const sealed = await sealTo([node], 'a question');
    const leaving = new AbortController();
    const response = await tier.post(sealed.request, { key, signal: leaving.signal });
    await response.body?.getReader().read();
    leaving.abort();
    const { chargedNano } = await tier.network.logged(
      'sealed-job-ended',
      (line) => line['outcome'] === 'cancelled',
    );
    expect(BigInt(String(chargedNano))).toBeGreaterThanOrEqual(7n);
    expect(await tier.network.balanceOf(account)).toBe(1_000_000n - BigInt(String(chargedNano)));
  });

  it('can be cancelled by whoever asked, who then gets the receipt', async () => {
    const tier = await startPrivateNetwork();
    const { key } = await tier.network.account('1000000');
    const node = await tier.node(() => Array.from({ length: 50 }, () => 'x'), { delayMs: 20 });
    const sealed = await sealTo([node], 'a question');
    const { jobId } = sealed.request.header;
    const answering = tier.post(sealed.request, { key }).then((response) => readAnswer(response, sealed));
    await until('an offer', () => node.offers.length > 0);
    const cancel = (authorization: Record<string, string>) =>
      fetch(`${tier.url}/v1/chat/completions/cancel`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization },
        body: JSON.stringify({ jobId }),
      });
    expect((await cancel({})).status).toBe(404);
    expect((await cancel({ authorization: `Bearer ${key}` })).status).toBe(202);
    const answer = await answering;
    expect(answer.whole).toBe(false);
    expect(answer.receipt?.node.receipt.outcome).toBe('cancelled');
  });

  it('is refused when its id was used, even before a restart', async () => {
    const dataFolder = temporaryFolder();
    const tier = await startPrivateNetwork({ dataFolder });
    const node = await tier.node(says);
    const sealed = await sealTo([node], 'a question');
    await tier.ask(sealed);
    expect(await tier.ask(sealed)).toMatchObject({ status: 409, code: 'job_known' });
    await tier.network.close();
    const after = await startPrivateNetwork({ dataFolder });
    expect(await after.ask(sealed)).toMatchObject({ status: 409, code: 'job_known' });
  });

  it('whose id belongs to a running job changes nothing about that job', async () => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says, { delayMs: 50 });
    const sealed = await sealTo([node], 'a question');
    const first = tier.ask(sealed);
    await until('an offer', () => node.offers.length > 0);
    expect(await tier.ask(sealed)).toMatchObject({ status: 409, code: 'job_known' });
    expect(await first).toMatchObject({ text: 'Hello, world', done: true });
  });
});

describe('a request', () => {
  it.each<[string, Partial<SealedHeader>]>([
    ['header_expired', { notAfterMs: 1 }],
    ['header_mismatch', { model: 'another' }],
    ['header_mismatch', { suite: 'xwing-hkdf-sha256-aes256gcm' }],
    ['candidate_unknown', { candidates: ['ab'.repeat(32)] }],
  ])('is refused as %s', async (code, change) => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says);
    const sealed = await sealTo([node], 'a question');
    const changed = withHeader(sealed, change);
    expect((await errorOf(await tier.post(changed))).code).toBe(code);
    expect(node.offers).toEqual([]);
  });

  it('whose header was changed on the way is refused by the node, with its signature', async () => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says);
    const sealed = await sealTo([node], 'a question');
    const response = await tier.post(withHeader(sealed, { maxTokens: 49 }));
    const answer = await readAnswer(response, sealed);
    expect(answer.code).toBe('no_candidate');
    expect(answer.skipped).toMatchObject([{ refusal: { code: 'unopenable' } }]);
  });

  it.each([
    ['a plain chat', { model: NODE_MODEL, messages: [{ role: 'user', content: 'SECRET' }] }],
    ['a sealed one with more in it', { prompt: 'SECRET' }],
    ['one whose body is not base64', { body: 'SECRET in the clear' }],
    ['one without wraps', { wraps: [] }],
  ])('that is %s is refused, and not repeated', async (_, change) => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says);
    const sealed = await sealTo([node], 'a question');
    const isPlain = 'messages' in change;
    const response = await tier.post(isPlain ? change : { ...sealed.request, ...change });
    expect(response.status).toBe(400);
    const text = await response.text();
    expect(text).toContain('invalid_request');
    expect(text + tier.network.logText.join('')).not.toContain('SECRET');
  });

  it('in the clear for the private tier is refused with the way to go, and never moved', async () => {
    const tier = await startPrivateNetwork();
    const response = await tier.network.chat({ tussah: { tier: 'private' } });
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({
      code: 'private_must_be_sealed',
      remedy: expect.stringContaining('SDK or the local proxy') as string,
    });
  });
});

describe('without a policy', () => {
  it('that can be read the coordinator does not start, and says so', async () => {
    const dataFolder = temporaryFolder();
    const bad = join(dataFolder, 'bad.json');
    writeFileSync(bad, '{"version":1}');
    for (const path of [bad, join(dataFolder, 'none.json')])
      await expect(startNetwork({ dataFolder, flags: ['--node-policy', path] })).rejects.toThrow(
        /--node-policy/,
      );
  });

  it('there is no private tier: neither nodes nor sealed requests', async () => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says);
    const sealed = await sealTo([node], 'a question');
    const without = await startNetwork();
    for (const path of ['/v1/nodes', '/v1/nodes/policy'])
      expect((await errorOf(await fetch(`${without.url}${path}`))).code).toBe('tier_unavailable');
    const response = await fetch(`${without.url}/v1/sealed/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(sealed.request),
    });
    expect((await errorOf(response)).code).toBe('tier_unavailable');
    expect((await without.get<Network>('/v1/network')).tiers).toEqual(['public']);
    expect(await refusedUpgrade(`${without.url}/node`)).toBe(503);
  });
});

describe('the directory', () => {
  it('lists who serves a model, with proofs against a signed head', async () => {
    const tier = await startPrivateNetwork();
    const [first, second] = [await tier.node(says), await tier.node(says, { offer: { model: 'other' } })];
    const { head, nodes } = await list(tier, `?model=${NODE_MODEL}`);
    expect(await verifyHead(head)).toBe(true);
    expect(head).toMatchObject({ coordinator: tier.network.publicKey, size: 2 });
    expect(nodes.map(({ entry }) => entry.bundle)).toEqual([first.epoch.bundle]);
    expect(nodes.every((node) => isProven(node, head))).toBe(true);
    expect((await list(tier)).nodes).toHaveLength(2);
    expect((await list(tier, '?model=none')).nodes).toEqual([]);
    const text = await (await fetch(`${tier.url}/v1/nodes/bundles/${second.epoch.bundle}`)).text();
    expect(sha256Hex(text)).toBe(second.epoch.bundle);
    const network = await tier.network.get<Network>('/v1/network');
    expect(v.is(NetworkSchema, network)).toBe(true);
    expect(network).toMatchObject({
      tiers: ['public', 'private'],
      nodes: [
        { model: NODE_MODEL, nodes: 1 },
        { model: 'other', nodes: 1 },
      ],
    });
    expect(await tier.network.get('/v1/nodes/policy')).toMatchObject({ name: 'simulated' });
  });

  it('forgets the text of a bundle that has left', async () => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says);
    node.vanish();
    await tier.network.logged('node-left');
    const response = await fetch(`${tier.url}/v1/nodes/bundles/${node.epoch.bundle}`);
    expect((await errorOf(response)).code).toBe('bundle_not_found');
  });

  it('goes on after a restart where it was: every older head is consistent with it', async () => {
    const dataFolder = temporaryFolder();
    const tier = await startPrivateNetwork({ dataFolder });
    const kept: DirectoryHead[] = [(await list(tier)).head];
    for (let i = 0; i < 3; i++) {
      await tier.node(says);
      kept.push((await list(tier)).head);
    }
    const { epoch } = await tier.node(says);
    await tier.network.close();
    const after = await startPrivateNetwork({ dataFolder });
    const { head, nodes } = await until('all to have left', async () => {
      const now = await list(after);
      return now.head.size === 8 ? now : undefined;
    });
    expect(nodes).toEqual([]);
    for (const old of kept) {
      const { consistency } = await list(after, `?since=${old.size}`);
      expect(checkHeads(old, head, consistency, Date.now())).toBeUndefined();
    }
    // The entries are what the head says.
    const { entries } = await after.network.get<DirectoryPage>(`/v1/nodes/entries?from=0&to=${head.size}`);
    const tree = new MerkleLog();
    for (const entry of entries) tree.append(entryText(entry));
    expect(tree.rootHash()).toBe(head.rootHash);
    expect(entries.at(-1)).toMatchObject({ kind: 'left' });
    expect(entries.some((entry) => entry.kind === 'left' && entry.bundle === epoch.bundle)).toBe(true);
  });

  it.each([
    '/v1/nodes?since=-1',
    '/v1/nodes?since=x',
    '/v1/nodes?since=1&since=2',
    '/v1/nodes?model=a&model=b',
    '/v1/nodes/entries',
    '/v1/nodes/entries?from=1&to=0',
    '/v1/nodes/entries?from=0&to=9',
    '/v1/nodes/consistency?from=0',
    '/v1/nodes/consistency?from=0&to=1e3',
  ])('refuses %s', async (path) => {
    const tier = await startPrivateNetwork();
    const response = await fetch(`${tier.url}${path}`);
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe('invalid_request');
  });

  it('shows its head to a client that knows of more: the client sees the rollback', async () => {
    const tier = await startPrivateNetwork();
    expect(await list(tier, '?since=9')).toMatchObject({ head: { size: 0 }, consistency: [], nodes: [] });
  });
});

describe('a crash', () => {
  it('ends sealed jobs: what was held is free, and nothing is charged', async () => {
    const dataFolder = temporaryFolder();
    const tier = await startPrivateNetwork({ dataFolder, drainMs: 0 });
    const { account, key } = await tier.network.account('1000000');
    const node = await tier.node(async (job) => {
      await job.accept();
      await job.say({ text: 'Hel' });
    });
    // Its connection is cut.
    const answering = tier.ask(await sealTo([node], 'a question'), { key }).catch(() => undefined);
    await tier.network.logged('sealed-job-started');
    await tier.network.stop();
    await answering;
    const after = await startPrivateNetwork({ dataFolder });
    expect(await after.network.balanceOf(account)).toBe(1_000_000n);
    expect(await (await fetch(`${after.url}/metrics`)).text()).toMatch(/^tussah_reserved_ton 0$/m);
  });
});
