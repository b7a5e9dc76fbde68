/** Prompts and answers stay out of logs, metrics, errors and the database, whatever happens to their job. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pause } from './scripted-contributor.ts';
import {
  collect,
  eventsOf,
  idsOf,
  piecesOf,
  says,
  startNetwork,
  temporaryFolder,
  until,
  type TestNetwork,
} from './testing/harness.ts';
import { Tokenizers } from './tokenizers.ts';

const PROMPT = 'quetzal-91 "façade"\nsecond line';
const STOP = 'zanzibar-17 stop';
const ANSWER = 'marzipan-47 "naïve"\nanother line';

afterEach(() => {
  vi.restoreAllMocks();
});

const textOf = (pieces: ReturnType<typeof piecesOf>): string => pieces.map(({ text }) => text).join('');

/** Every form in which a text could have been written down; base64 at each of its three alignments. */
function formsOf(text: string): Map<string, string> {
  const bytes = Buffer.from(text);
  const json = JSON.stringify(text).slice(1, -1);
  const forms = new Map([
    ['raw', text],
    ['first line', text.split('\n')[0] ?? ''],
    ['second line', text.split('\n')[1] ?? text],
    ['JSON', json],
    ['JSON twice', JSON.stringify(json).slice(1, -1)],
    ['hexadecimal', bytes.toString('hex')],
    ['percent', encodeURIComponent(text)],
    ['token ids', idsOf(text).join(',')],
    ['token ids apart', idsOf(text).join(', ')],
  ]);
  for (let shift = 0; shift < 3; shift++) {
    // The characters at both ends depend on what stands beside it.
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replaceAll('=', '');
    forms.set(`base64 ${shift}`, encoded.slice(4, -2));
  }
  return forms;
}

/** Where and in which form a text stands in what was written. */
function leaksOf(text: string, written: ReadonlyMap<string, string>): string[] {
  return [...written].flatMap(([where, content]) =>
    [...formsOf(text)].filter(([, form]) => content.includes(form)).map(([form]) => `${form} in ${where}`),
  );
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesUnder(path) : [path]));
}

/** All that a coordinator leaves behind or shows, by where it stands. */
async function writtenBy(network: TestNetwork): Promise<Map<string, string>> {
  const written = new Map([['log', network.logText.join('')]]);
  for (const path of ['/metrics', '/v1/network', '/v1/models', '/openapi.json', '/healthz'])
    written.set(path, await (await fetch(`${network.url}${path}`)).text());
  for (const path of filesUnder(network.dataFolder)) written.set(path, readFileSync(path).toString());
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
      return [...found.values()].some((text) => text.includes(counted)) ? found : undefined;
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
    expect(leaksOf(PROMPT, new Map([['a log', `{"msg":"x${form}y"}`]]))).not.toEqual([]);
  });

  it('finds one planted in the database, before and after it is checkpointed', async () => {
    const network = await startNetwork();
    await network.account('1', PROMPT);
    await pause(20);
    expect(leaksOf(PROMPT, await writtenBy(network)).join()).toContain('.sqlite-wal');
    await network.stop();
    const files = filesUnder(network.dataFolder).map((path): [string, string] => [
      path,
      readFileSync(path).toString(),
    ]);
    expect(leaksOf(PROMPT, new Map(files))).not.toEqual([]);
  });
});
