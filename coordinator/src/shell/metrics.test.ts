/** What operators see: it counts what happens, and docs/operations.md names all of it and nothing else. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Note } from '../core/events.ts';
import { noteLevels, logNote } from './log-notes.ts';
import {
  BUILD,
  collect,
  MODEL,
  root,
  says,
  startNetwork,
  until,
  type TestNetwork,
} from './testing/harness.ts';
import { openRawSocket } from './testing/raw-socket.ts';

const ANSWER = '12 + 7 = 19. And 19 + 7 = 26.';
const operations = readFileSync(join(root, 'docs/operations.md'), 'utf8');
const alerts = readFileSync(join(root, 'docs/alerts.yml'), 'utf8');

const textOf = async ({ url }: TestNetwork): Promise<string> => (await fetch(`${url}/metrics`)).text();

/** Values by name and labels, as they are written. */
async function samplesOf(network: TestNetwork): Promise<Map<string, number>> {
  const lines = (await textOf(network)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

const exposedBy = (text: string): string[] =>
  [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name);

/** The first cells of the table under a heading. */
const tableUnder = (heading: string): string[] =>
  (operations.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|')[1] ?? '');

const named = (cells: readonly string[]): { name: string; labels: string[] }[] =>
  cells
    .flatMap((cell) => [...cell.matchAll(/`([\w-]+)(?:\{([\w,]+)\})?`/g)])
    .map(([, name = '', labels]) => ({ name, labels: labels?.split(',') ?? [] }));

/** Each metric with the labels that its samples have. */
function labelsIn(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? /gm)) {
    const names = [...labels.matchAll(/(\w+)="/g)]
      .map(([, label = '']) => label)
      .filter((label) => label !== 'le');
    found.set(name, new Set([...(found.get(name) ?? []), ...names]));
  }
  return found;
}

describe('docs/operations.md', () => {
  it('names every metric of ours, and only metrics that there are', async () => {
    const exposed = exposedBy(await textOf(await startNetwork()));
    const documented = named(tableUnder('Metrics')).map(({ name }) => name);
    const ours = (names: readonly string[]) => names.filter((name) => name.startsWith('tussah_')).sort();
    expect(ours(documented)).toEqual(ours(exposed));
    expect(documented.filter((name) => !exposed.includes(name))).toEqual([]);
    expect(documented.length).toBe(new Set(documented).size);
  });

  it('names the labels that samples have', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    await network.answer({});
    const labels = labelsIn(await textOf(network));
    for (const metric of named(tableUnder('Metrics'))) {
      const seen = labels.get(metric.name);
      if (seen !== undefined && seen.size > 0)
        expect([...seen].sort(), metric.name).toEqual(metric.labels.sort());
    }
    expect(labels.get('tussah_jobs_total')?.size).toBe(2);
  });

  it('names every event of the log with its level', () => {
    const rows = operations.split('\n').filter((line) => /^\| `[a-z]+-/.test(line));
    const documented = rows.flatMap((row) => {
      const [, events = '', level = ''] = row.split('|');
      return named([events]).map(({ name }) => [name, level.trim()] as const);
    });
    expect(new Map(documented)).toEqual(new Map(Object.entries(noteLevels)));
  });

  it('comes with alerts on metrics that there are', async () => {
    const exposed = exposedBy(await textOf(await startNetwork()));
    const used = [...alerts.matchAll(/\b(?:tussah|nodejs|process)_\w+/g)].map(([name]) =>
      name.replace(/_(bucket|sum|count)$/, ''),
    );
    expect(used.length).toBeGreaterThan(10);
    expect(used.filter((name) => !exposed.includes(name))).toEqual([]);
  });
});

describe('metrics', () => {
  const cheap = { promptNanoPerMillion: '1', completionNanoPerMillion: '1' };

  it('count a continued answer, its tokens, its wait and its charge', async () => {
    const network = await startNetwork();
    const { key } = await network.account('1000000');
    await network.contribute(says(ANSWER));
    await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        await contributor.deliver(offer, [{ ids: [ANSWER.charCodeAt(0)], text: '?' }]);
      },
      { ask: cheap },
    );
    const first = await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        const pieces = await says(ANSWER)(offer, contributor);
        if (pieces !== undefined && pieces !== 'ignore') await contributor.deliver(offer, pieces.slice(0, 4));
        contributor.vanish();
      },
      { ask: { ...cheap, promptNanoPerMillion: '0' } },
    );
    const { tussah } = await collect(await network.chat({ stream: true }, { key }));
    const segments = tussah?.receipt.segments ?? [];
    expect(segments[0]?.contributor).toBe(first.publicKey);
    const samples = await samplesOf(network);
    const label = `{model="${MODEL}"}`;
    expect(samples.get(`tussah_answers_continued_total${label}`)).toBe(1);
    expect(samples.get(`tussah_continued_tokens_total${label}`)).toBe(
      segments.slice(1).reduce((sum, { tokens }) => sum + tokens, 0),
    );
    expect(samples.get(`tussah_job_wait_seconds_count${label}`)).toBe(1);
    expect(samples.get('tussah_job_moves_total{reason="lost"}')).toBe(1);
    // The first commit sets money aside for guests, before anything is measured.
    expect(samples.get('tussah_store_commit_seconds_count')).toBe(
      (samples.get('tussah_store_commits') ?? 0) - 1,
    );
    expect(samples.get('tussah_ledger_imbalance_ton')).toBe(0);
    expect(samples.get('tussah_reserved_ton')).toBe(0);
  });

  it('show what waits, for how long, and for whom', async () => {
    const network = await startNetwork();
    const asked = network.chat({ tussah: { maxWaitMs: 30_000 } });
    const label = `{model="${MODEL}"}`;
    const waiting = await until('a job waits', async () => {
      const samples = await samplesOf(network);
      return (samples.get(`tussah_model_oldest_wait_seconds${label}`) ?? 0) > 0 ? samples : undefined;
    });
    expect(waiting.get(`tussah_model_queued${label}`)).toBe(1);
    expect(waiting.get('tussah_jobs_by_phase{phase="queued"}')).toBe(1);
    expect(waiting.get('tussah_flows{jobs="any"}')).toBe(1);
    expect(waiting.get('tussah_flows{jobs="queued"}')).toBe(1);
    expect(waiting.get('tussah_reserved_ton')).toBeGreaterThan(0);
    await network.contribute(says(ANSWER));
    expect((await asked).status).toBe(200);
    const after = await samplesOf(network);
    expect(after.get(`tussah_model_oldest_wait_seconds${label}`)).toBe(0);
    expect(after.get('tussah_flows{jobs="any"}')).toBe(0);
  });

  it('tell contributors by state, model and engine, and sockets by phase', async () => {
    const network = await startNetwork();
    const paused = await network.contribute(() => 'ignore');
    paused.send({ type: 'status', state: 'paused' });
    await network.contribute(says(ANSWER));
    await openRawSocket(network.url);
    const samples = await until('one is paused', async () => {
      const now = await samplesOf(network);
      return now.get('tussah_contributors_by_state{state="paused"}') === 1 ? now : undefined;
    });
    expect(samples.get('tussah_contributors_by_state{state="idle"}')).toBe(1);
    expect(samples.get(`tussah_model_contributors{model="${MODEL}",engine="wllama"}`)).toBe(2);
    expect(samples.get('tussah_sockets{phase="open"}')).toBe(2);
    expect(samples.get('tussah_sockets{phase="challenged"}')).toBe(1);
    expect(BUILD).toContain('wllama');
  });

  it('count hostile peers and refused requests by their codes', async () => {
    const network = await startNetwork();
    const peer = await openRawSocket(network.url);
    peer.socket.send('nonsense');
    await peer.closed();
    await network.chat({ temperature: 'hot' });
    await network.chat({}, { key: 'tsk_unknown' });
    const samples = await until('all is counted', async () => {
      const now = await samplesOf(network);
      return now.has('tussah_http_refusals_total{code="invalid_api_key"}') ? now : undefined;
    });
    expect(samples.get('tussah_sessions_refused_total{code="malformed_frame"}')).toBe(1);
    expect(samples.get('tussah_http_refusals_total{code="invalid_request"}')).toBe(1);
    expect(samples.get('tussah_http_requests_total{route="/v1/chat/completions",status="400"}')).toBe(1);
    expect(samples.get('tussah_http_requests_total{route="/v1/chat/completions",status="401"}')).toBe(1);
  });
});

describe('the log', () => {
  const written = (note: Note) => {
    const lines: [string, object, string][] = [];
    const write = (level: string) => (facts: object, message: string) => lines.push([level, facts, message]);
    const log = { debug: write('debug'), info: write('info'), warn: write('warn') };
    logNote(log as unknown as Parameters<typeof logNote>[0], note);
    return lines;
  };
  const moved = { kind: 'job-moved', jobId: 'job_x', publicKey: 'a' } as const;

  it.each([
    ['a known code of a contributor', 'failed', 'device_lost', 'device_lost'],
    ['no words of a contributor that we do not know', 'failed', 'the prompt was: secret', null],
    ['our own words about a breach', 'refused', 'a bad signature', 'a bad signature'],
    ['our own code for a lost one', 'lost', 'too_fast', 'too_fast'],
  ])('holds %s', (_, reason, detail, shown) => {
    const facts = { jobId: 'job_x', publicKey: 'a', reason, detail: shown };
    expect(written({ ...moved, reason, detail })).toEqual([['warn', facts, 'job-moved']]);
  });
});
