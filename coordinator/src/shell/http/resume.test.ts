/** Clients that lose their connection, or their coordinator, and come back for the rest of a streamed answer. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { Receipt } from '@tussah/protocol/receipts';
import type { ErrorBody } from '@tussah/protocol/errors';
import type { JobCheckpoint } from '../../core/state.ts';
import { verifyBooks } from '../../verify/verify-books.ts';
import type { Script } from '../scripted-contributor.ts';
import {
  all,
  eventsOf,
  idsOf,
  listCost,
  piecesOf,
  says,
  startNetwork,
  temporaryFolder,
  until,
  type ChatOptions,
  type NetworkOptions,
  type SseEvent,
  type TestNetwork,
} from '../testing/harness.ts';

const ANSWER = 'Шёлк: wild silk 🐛 is spun by moths, and nobody hurries them; 12 + 7 = 19, as ever.';
const CREDIT = '1000000000';
const pieces = piecesOf(ANSWER);
const textOf = (some: typeof pieces): string => some.map(({ text }) => text).join('');
/** So that a few tokens are a checkpoint. */
const core = { checkpointMs: 100 };

interface Part {
  readonly jobId: string;
  readonly position: number;
  readonly ids: readonly number[];
}
const partOf = (event: SseEvent): Part | undefined => {
  const tussah = event.tussah as object | undefined;
  return tussah !== undefined && 'ids' in tussah ? (tussah as Part) : undefined;
};

/** A client that keeps what it got, checks that it follows, and goes whenever it likes. */
class Client {
  text = '';
  readonly ids: number[] = [];
  jobId = '';
  receipt: Receipt | undefined;
  error: ErrorBody['error'] | undefined;
  readonly #options: ChatOptions;
  #leaving = new AbortController();

  constructor(options: ChatOptions = {}) {
    this.#options = options;
  }

  ask(network: TestNetwork, body: object = {}): Promise<Response> {
    return this.#send(network, body, { resumable: true });
  }

  resume(network: TestNetwork, change: { ids?: readonly number[]; jobId?: string; body?: object } = {}) {
    const { ids = this.ids, jobId = this.jobId, body = {} } = change;
    return this.#send(network, body, { resumable: true, resume: { jobId, ids } });
  }

  #send(network: TestNetwork, body: object, tussah: object): Promise<Response> {
    this.#leaving = new AbortController();
    return network.chat(
      { ...body, stream: true, tussah },
      { ...this.#options, signal: this.#leaving.signal },
    );
  }

  /** Reads until there are so many tokens, or to the end. */
  async read(response: Response, tokens = Infinity): Promise<this> {
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    const events = eventsOf(response);
    // Not with a loop: leaving one would close the connection.
    while (this.ids.length < tokens) {
      const { value, done } = await events.next();
      if (done === true) break;
      this.#take(value);
    }
    return this;
  }

  leave(): void {
    this.#leaving.abort();
  }

  #take(event: SseEvent): void {
    const text = event.choices?.[0]?.delta.content ?? '';
    const part = partOf(event);
    if (part?.position !== (text === '' ? undefined : this.ids.length))
      throw new Error(`text at ${part?.position}, after ${this.ids.length} tokens`);
    this.ids.push(...(part?.ids ?? []));
    this.jobId = part?.jobId ?? this.jobId;
    this.text += text;
    this.error ??= event.error;
    this.receipt ??= event.tussah?.receipt;
  }
}

async function refusalOf(response: Response): Promise<string> {
  const { error } = (await response.json()) as ErrorBody;
  return `${response.status} ${error.code}`;
}

/** Pieces that a contributor says before it waits. */
const BEGUN = 20;
const begunIds = pieces.slice(0, BEGUN).flatMap(({ ids }) => ids);

/** A contributor that says the beginning of the answer, and the rest once it is told to. */
function halting() {
  let goOn: () => void = () => undefined;
  const told = new Promise<void>((resolve) => (goOn = resolve));
  const script: Script = async (offer, contributor) => {
    contributor.send({ type: 'job-accept', jobId: offer.jobId });
    const begun = await contributor.deliver(offer, pieces.slice(0, BEGUN));
    await told;
    const ids = await contributor.deliver(offer, pieces.slice(BEGUN), begun);
    if (ids !== undefined) await contributor.finish(offer, ids);
  };
  return { script, goOn };
}

/** A client that has read the beginning of an answer, which is written down. */
async function begun(options: NetworkOptions = {}) {
  const network = await startNetwork({ core, ...options });
  const { script, goOn } = halting();
  const contributor = await network.contribute(script);
  const { key, account } = await network.account(CREDIT);
  const client = new Client({ key });
  await client.read(await client.ask(network), begunIds.length);
  await until('it is written down', () => writtenDown(network) === begunIds.length);
  return { network, contributor, client, key, account, goOn };
}

/** Tokens of the only running job in the journal on disk. */
function writtenDown(network: TestNetwork): number | undefined {
  const db = new SqliteDatabase(join(network.dataFolder, 'coordinator.sqlite'), { readonly: true });
  const body = db.prepare<[], string>('SELECT body FROM checkpoints').pluck().get();
  db.close();
  return (JSON.parse(body ?? '{}') as Partial<JobCheckpoint>).open?.tokens;
}

/** What a coordinator that dies at this moment would find when it starts again. */
async function restarted(network: TestNetwork, options: NetworkOptions = {}): Promise<TestNetwork> {
  const dataFolder = temporaryFolder();
  const kept = (path: string) => !path.endsWith('-shm') && !path.endsWith('.pid');
  cpSync(network.dataFolder, dataFolder, { recursive: true, filter: kept });
  return startNetwork({ core, ...options, dataFolder });
}

const spentOf = async (network: TestNetwork, account: string) =>
  BigInt(CREDIT) - (await network.balanceOf(account));

/** Whoever asks wrongly learns nothing and changes nothing. */
async function expectRefusals(network: TestNetwork, client: Client): Promise<void> {
  const stranger = new Client({ key: (await network.account(CREDIT)).key });
  const { jobId, ids } = client;
  expect(await refusalOf(await stranger.resume(network, { jobId, ids }))).toBe('404 job_unknown');
  expect(await refusalOf(await new Client().resume(network, { jobId, ids }))).toBe('404 job_unknown');
  const unknown = `job_${'0'.repeat(24)}`;
  expect(await refusalOf(await client.resume(network, { jobId: unknown }))).toBe('404 job_unknown');
  const wrong = [
    { body: { seed: 5 } },
    { body: { stop: ['x'] } },
    { body: { messages: [{ role: 'user', content: 'What is 12 + 8?' }] } },
    { ids: [...ids.slice(0, -1), (ids.at(-1) ?? 0) + 1] },
    { ids: [...ids, 0xff_ffff] },
  ];
  for (const change of wrong)
    expect(await refusalOf(await client.resume(network, change))).toBe('409 resume_mismatch');
}

async function booksOf(network: TestNetwork): Promise<string> {
  return (await verifyBooks(`${network.dataFolder}/coordinator.sqlite`, network.publicKey)).verdict;
}

describe('a resumable answer', () => {
  it('says which ids its chunks carry; another one does not', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const client = new Client();
    await client.read(await client.ask(network));
    expect({ text: client.text, ids: client.ids }).toEqual({ text: ANSWER, ids: idsOf(ANSWER) });
    expect(client.receipt?.jobId).toBe(client.jobId);
    const plain = await all(eventsOf(await network.chat({ stream: true })));
    expect(plain.slice(0, -1).every((event) => event.tussah === undefined)).toBe(true);
  });

  it('needs a stream', async () => {
    const network = await startNetwork();
    const response = await network.chat({ tussah: { resumable: true } });
    expect(await refusalOf(response)).toBe('400 invalid_request');
  });

  it('runs on without its client for a while, which gets the rest when it is back', async () => {
    const { network, contributor, client, account, goOn } = await begun();
    client.leave();
    goOn();
    await network.logged('job-ended');
    await client.read(await client.resume(network));
    expect({ text: client.text, ids: client.ids }).toEqual({ text: ANSWER, ids: idsOf(ANSWER) });
    expect(contributor.offers).toHaveLength(1);
    expect(contributor.frames.map((frame) => frame.type)).not.toContain('job-cancel');
    expect(await spentOf(network, account)).toBe(BigInt(client.receipt?.chargedNano ?? 0));
    expect(await network.get(`/v1/receipts?job=${client.jobId}`)).toEqual(client.receipt);
  });

  it('can be resumed after its end, at any character, also by who has all of it', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER));
    const client = new Client();
    await client.read(await client.ask(network));
    for (let had = 0; had <= pieces.length; had++) {
      const again = new Client();
      again.ids.push(...pieces.slice(0, had).flatMap(({ ids }) => ids));
      await again.read(await client.resume(network, { ids: again.ids }));
      expect(again.text).toBe(textOf(pieces.slice(had)));
      expect(again.receipt).toEqual(client.receipt);
    }
    expect(contributor.offers).toHaveLength(1);
  });

  it('goes to the newer of two connections', async () => {
    const { network, client, goOn } = await begun();
    // Some text is left to repeat, so that both begin.
    const ids = begunIds.slice(0, pieces[0]?.ids.length);
    const older = await client.resume(network, { ids });
    const newer = await client.resume(network, { ids });
    await expect(all(eventsOf(older))).rejects.toThrow('terminated');
    goOn();
    const again = new Client();
    again.ids.push(...ids);
    await again.read(newer);
    expect(again.text).toBe(textOf(pieces.slice(1)));
  });

  it('is given up when its client stays away, which finds what it paid for when it comes after all', async () => {
    const { network, contributor, client } = await begun({ clientGraceMs: 60 });
    client.leave();
    await contributor.frame('job-cancel');
    const ended = await network.logged('job-ended');
    // It lost some of what had left for it.
    const ids = begunIds.slice(0, pieces[0]?.ids.length);
    const back = new Client();
    back.ids.push(...ids);
    await back.read(await client.resume(network, { ids }));
    expect(back.error?.code).toBe('client_gone');
    expect(back.text).toBe(textOf(pieces.slice(1, BEGUN)));
    expect(back.ids).toHaveLength(ended['tokens'] as number);
    expect(back.receipt).toMatchObject({ outcome: 'cancelled', jobId: client.jobId });
  });

  it('ends at once when its client says so, and costs what was delivered', async () => {
    const { network, contributor, client, account, key } = await begun();
    client.leave();
    const cancel = (body: object, headers = {}) =>
      fetch(`${network.url}/v1/chat/completions/cancel`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    const authorization = `Bearer ${key}`;
    expect(await refusalOf(await cancel({ jobId: client.jobId }))).toBe('404 job_unknown');
    expect(await refusalOf(await cancel({ jobId: 'all of them' }, { authorization }))).toBe(
      '400 invalid_request',
    );
    expect(contributor.frames.map((frame) => frame.type)).not.toContain('job-cancel');
    const cancelled = await cancel({ jobId: client.jobId }, { authorization });
    expect([cancelled.status, await cancelled.json()]).toEqual([202, { jobId: client.jobId }]);
    await contributor.frame('job-cancel');
    await network.logged('job-ended');
    const receipt = await network.get<Receipt>(`/v1/receipts?job=${client.jobId}`);
    expect(receipt).toMatchObject({ outcome: 'cancelled' });
    expect(await spentOf(network, account)).toBe(BigInt(receipt.chargedNano));
    expect((await cancel({ jobId: client.jobId }, { authorization })).status).toBe(202);
  });

  it('is cancelled by its Idempotency-Key before its first token, too', async () => {
    const network = await startNetwork();
    const offered = Promise.withResolvers<void>();
    const contributor = await network.contribute(async () => {
      offered.resolve();
      await new Promise(() => undefined);
    });
    const leaving = new AbortController();
    const asking = network.chat(
      { stream: true, tussah: { resumable: true } },
      { headers: { 'idempotency-key': 'mine' }, signal: leaving.signal },
    );
    asking.catch(() => undefined);
    await offered.promise;
    leaving.abort();
    const response = await fetch(`${network.url}/v1/chat/completions/cancel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ idempotencyKey: 'mine' }),
    });
    expect(response.status).toBe(202);
    await contributor.frame('job-cancel');
    await network.logged('job-ended');
  });

  it('is refused to other accounts, other requests and other ids, and goes on all the same', async () => {
    const { network, client, goOn } = await begun();
    await expectRefusals(network, client);
    goOn();
    expect((await client.read(await client.resume(network))).text).toBe(ANSWER);
  });

  it('of a request that was not resumable is not to be had', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const { tussah } = await network.answer({}, { headers: { 'idempotency-key': 'k' } });
    const { jobId } = tussah;
    expect(await refusalOf(await new Client().resume(network, { jobId }))).toBe('404 job_unknown');
  });
});

describe('after a restart', () => {
  it('goes on with any contributor of the same build, and each token is paid for once', async () => {
    const { network, contributor, client, account } = await begun();
    const after = await restarted(network);
    const next = await after.contribute(says(ANSWER));
    await client.read(await client.resume(after));
    expect({ text: client.text, ids: client.ids }).toEqual({ text: ANSWER, ids: idsOf(ANSWER) });
    expect(next.offers).toMatchObject([
      { jobId: client.jobId, prompt: contributor.offers[0]?.prompt, prefix: { ids: begunIds } },
    ]);
    expect(client.receipt?.segments).toMatchObject([
      { contributor: contributor.publicKey, tokens: begunIds.length, end: 'lost', signature: null },
      { contributor: next.publicKey, firstPosition: begunIds.length, promptTokens: 0, end: 'stop' },
    ]);
    expect(client.receipt?.usage.completionTokens).toBe(idsOf(ANSWER).length);
    expect(await spentOf(after, account)).toBe(BigInt(client.receipt?.chargedNano ?? 0));
    expect(await booksOf(after)).toBe('valid');
  });

  it('can be resumed again, from memory and after another restart', async () => {
    const { network, client } = await begun();
    const second = await restarted(network);
    await second.contribute(async (offer, contributor) => {
      contributor.send({ type: 'job-accept', jobId: offer.jobId });
      await contributor.deliver(offer, pieces.slice(BEGUN, BEGUN + 3));
    });
    const got = begunIds.length + pieces.slice(BEGUN, BEGUN + 3).flatMap(({ ids }) => ids).length;
    await client.read(await client.resume(second), got);
    const again = new Client();
    await again.read(await client.resume(second, { ids: [] }), got);
    expect(again.text).toBe(client.text);
    const third = await restarted(second);
    await third.contribute(says(ANSWER));
    await client.read(await client.resume(third));
    expect(client.text).toBe(ANSWER);
    expect(client.receipt?.segments).toHaveLength(3);
  });

  it('is refused to others, and waits on for its client', async () => {
    const { network, client } = await begun();
    const after = await restarted(network);
    await expectRefusals(after, client);
    expect(await refusalOf(await client.resume(after, { ids: begunIds.slice(1) }))).toBe(
      '409 resume_mismatch',
    );
    await after.contribute(says(ANSWER));
    expect((await client.read(await client.resume(after))).text).toBe(ANSWER);
  });

  it('is settled when its client does not come back in time', async () => {
    const { network, client, account } = await begun();
    const after = await restarted(network, { core: { ...core, resumeWindowMs: 100 } });
    const ended = await after.logged('job-ended');
    expect(ended).toMatchObject({ jobId: client.jobId, outcome: 'failed', tokens: begunIds.length });
    expect(await spentOf(after, account)).toBe(BigInt(ended['chargedNano'] as string));
    expect(await refusalOf(await client.resume(after))).toBe('404 job_unknown');
    expect(await booksOf(after)).toBe('valid');
  });

  it('that was whole before gives its end to who has all of it', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const client = new Client();
    await client.read(await client.ask(network));
    const after = await restarted(network);
    const again = new Client();
    await again.read(await client.resume(after));
    expect({ text: again.text, receipt: again.receipt }).toEqual({ text: '', receipt: client.receipt });
    const ids = client.ids.slice(0, -1);
    expect(await refusalOf(await client.resume(after, { ids }))).toBe('404 job_unknown');
  });

  it('a plain stream costs what its client got, an answer in one piece nothing', async () => {
    const network = await startNetwork({ core });
    const { script } = halting();
    const both = [await network.contribute(script), await network.contribute(script)];
    const [streamed, whole] = [await network.account(CREDIT), await network.account(CREDIT)];
    const answering = network.chat({}, { key: whole.key });
    const events = eventsOf(await network.chat({ stream: true }, { key: streamed.key }));
    let text = '';
    while (text !== textOf(pieces.slice(0, BEGUN)))
      text += (await events.next()).value?.choices?.[0]?.delta.content ?? '';
    await until('it is written down', () => writtenDown(network) === begunIds.length);
    const after = await restarted(network);
    await after.logged('job-ended');
    const promptTokens = both[0]?.offers[0]?.prompt.ids.length ?? 0;
    expect(await spentOf(after, streamed.account)).toBe(listCost(promptTokens, begunIds.length));
    expect(await spentOf(after, whole.account)).toBe(0n);
    expect(after.log.filter((line) => line.msg === 'job-ended')).toMatchObject([{ outcome: 'failed' }]);
    expect(await booksOf(after)).toBe('valid');
    await network.close();
    await answering;
  });
});

describe('a coordinator that stops', () => {
  it('leaves resumable answers to the next start, and tells their clients', async () => {
    const { network, client, account } = await begun({ drainMs: 50 });
    const waiting = network.chat({});
    const rest = client.resume(network);
    await network.logged('job-queued');
    await network.stop();
    expect(await refusalOf(await rest)).toBe('503 coordinator_restarted');
    expect(await refusalOf(await waiting)).toBe('503 shutting_down');
    const after = await restarted(network);
    expect(await spentOf(after, account)).toBe(0n);
    await after.contribute(says(ANSWER));
    await client.read(await client.resume(after));
    expect(client.text).toBe(ANSWER);
  });
});
