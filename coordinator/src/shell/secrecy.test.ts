/** Prompts and answers stay out of logs, metrics, errors and the database, whatever happens to their job. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pause } from './scripted-contributor.ts';
import {
  collect,
  eventsOf,
  piecesOf,
  says,
  startNetwork,
  temporaryFolder,
  until,
  type TestNetwork,
} from './testing/harness.ts';
import { contentsOf, formsOf, leaksOf } from './testing/leaks.ts';
import { Tokenizers } from './tokenizers.ts';

const PROMPT = 'quetzal-91 "façade"\nsecond line';
const STOP = 'zanzibar-17 stop';
const ANSWER = 'marzipan-47 "naïve"\nanother line';

afterEach(() => {
  vi.restoreAllMocks();
});

const textOf = (pieces: ReturnType<typeof piecesOf>): string => pieces.map(({ text }) => text).join('');

/** All that a coordinator leaves behind or shows, by where it stands. */
async function writtenBy(network: TestNetwork): Promise<Map<string, string | Uint8Array>> {
  const written = new Map<string, string | Uint8Array>([['log', network.logText.join('')]]);
  for (const path of ['/metrics', '/v1/network', '/v1/models', '/openapi.json', '/healthz'])
    written.set(path, await (await fetch(`${network.url}${path}`)).text());
  for (const [path, content] of contentsOf(network.dataFolder)) written.set(path, content);
  return written;
}

const body = { messages: [{ role: 'user', content: PROMPT }] };

describe('what the coordinator writes', () => {
  it('has neither a prompt nor an answer in it, however the job ends', async () => {
    const network = await startNetwork();
    const { key } = await network.account('100000');
    const fails = vi.fn<(text: string) => void>();
    const errorOf = async (response: Response) => fails(await response.text());

    // Nobody there, bad input of many kinds, wrong keys.
    await errorOf(await network.chat({ ...body, tussah: { maxWaitMs: 0 } }));
    await errorOf(await network.chat({ ...body, [PROMPT]: PROMPT }));
    await errorOf(await network.chat({ ...body, temperature: PROMPT }));
    await errorOf(await network.chat({ ...body, model: PROMPT }));
    await errorOf(await network.chat({ ...body, stop: [PROMPT, 7] }));
    await errorOf(await network.chat({ messages: [{ role: PROMPT, content: PROMPT }] }));
    await errorOf(await network.chat({ messages: [{ role: 'user', content: PROMPT.repeat(400) }] }));
    await errorOf(await network.chat(body, { key: encodeURIComponent(PROMPT) }));
    await errorOf(
      await fetch(`${network.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `{"messages": ${PROMPT}`,
      }),
    );

    // A liar, one that fails and says too much, one that vanishes, and an honest one.
    const cheap = { promptNanoPerMillion: '1', completionNanoPerMillion: '1' };
    await network.contribute(says(ANSWER, 5));
    await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        await contributor.deliver(offer, piecesOf(ANSWER).slice(0, 3));
        contributor.sendRaw(
          JSON.stringify({ type: 'text-delta', jobId: ANSWER, text: ANSWER, [ANSWER]: PROMPT }),
        );
      },
      { ask: cheap },
    );
    expect(
      (await network.answer(body, { key, headers: { 'idempotency-key': 'k' } })).choices[0]?.message.content,
    ).toBe(ANSWER);
    await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        await contributor.deliver(offer, piecesOf(ANSWER).slice(0, 3));
        contributor.send({ type: 'job-failed', jobId: offer.jobId, code: 'engine', message: PROMPT });
      },
      { ask: cheap },
    );
    expect((await collect(await network.chat({ ...body, stream: true }, { key }))).text).toBe(ANSWER);

    // A client that leaves.
    const leaving = new AbortController();
    const response = await network.chat({ ...body, stream: true }, { key, signal: leaving.signal });
    await response.body?.getReader().read();
    leaving.abort();
    await until('the last job ended', () => network.log.some((line) => line['outcome'] === 'cancelled'));

    const written = await writtenBy(network);
    expect([...written.keys()].some((where) => where.includes('.sqlite-wal'))).toBe(true);
    fails.mock.calls.forEach(([text], i) => written.set(`error body ${i}`, text));
    expect(fails).toHaveBeenCalledTimes(9);
    expect([...leaksOf(PROMPT, written), ...leaksOf(ANSWER, written)]).toEqual([]);
    expect(network.log.some((line) => line.msg === 'request')).toBe(true);
  });

  it('has none in what is written down of running jobs, nor when they go on after a restart', async () => {
    const dataFolder = temporaryFolder();
    const network = await startNetwork({ core: { checkpointMs: 50 }, dataFolder, drainMs: 0 });
    const begun = piecesOf(ANSWER).slice(0, 20);
    await network.contribute(async (offer, contributor) => {
      contributor.send({ type: 'job-accept', jobId: offer.jobId });
      await contributor.deliver(offer, begun);
    });
    const asked = { ...body, stop: [STOP], stream: true };
    const response = await network.chat({ ...asked, tussah: { resumable: true } });
    const ids = begun.flatMap((piece) => piece.ids);
    const got = eventsOf(response);
    let jobId = '';
    for (let tokens = 0; tokens < ids.length;) {
      const part = (await got.next()).value?.tussah as { jobId: string; ids?: number[] } | undefined;
      jobId = part?.jobId ?? jobId;
      tokens += part?.ids?.length ?? 0;
    }
    const counted = `"tokens":${ids.length}`;
    const written = await until('a checkpoint of it', async () => {
      const found = await writtenBy(network);
      return [...found.values()].some((content) => Buffer.from(content as Uint8Array).includes(counted))
        ? found
        : undefined;
    });
    const leaks = () => [PROMPT, textOf(begun), STOP].flatMap((text) => leaksOf(text, written));
    expect(leaks()).toEqual([]);
    await network.close();
    const after = await startNetwork({ dataFolder });
    await after.contribute(says(ANSWER));
    const rest = await collect(
      await after.chat({ ...asked, tussah: { resumable: true, resume: { jobId, ids } } }),
    );
    expect(textOf(begun) + rest.text).toBe(ANSWER);
    for (const [where, text] of await writtenBy(after)) written.set(`${where} after`, text);
    expect([...leaks(), ...leaksOf(ANSWER, written)]).toEqual([]);
  });

  it('has none in it when our own code fails over a request', async () => {
    const network = await startNetwork();
    vi.spyOn(Tokenizers.prototype, 'load').mockImplementation(() => {
      throw Object.assign(new Error(`cannot render\n${PROMPT}\n    ${PROMPT}`), { prompt: PROMPT });
    });
    const response = await network.chat(body);
    expect(response.status).toBe(500);
    const written = await writtenBy(network);
    written.set('error body', await response.text());
    expect(leaksOf(PROMPT, written)).toEqual([]);
    expect(network.log.find((line) => line.level === 50)).toMatchObject({
      msg: 'request failed',
      name: 'Error',
      at: expect.stringContaining('.ts:') as string,
    });
  });
});

describe('the search for leaks', () => {
  it.each([...formsOf(PROMPT)])('finds a planted %s', (_, form) => {
    const written = Buffer.concat([Buffer.from('{"msg":"x'), form, Buffer.from('y"}')]);
    expect(leaksOf(PROMPT, new Map([['a log', written]]))).not.toEqual([]);
  });

  it('finds one planted in the database, before and after it is checkpointed', async () => {
    const network = await startNetwork();
    await network.account('1', PROMPT);
    await pause(20);
    expect(leaksOf(PROMPT, await writtenBy(network)).join()).toContain('.sqlite-wal');
    await network.stop();
    expect(leaksOf(PROMPT, contentsOf(network.dataFolder))).not.toEqual([]);
  });
});
