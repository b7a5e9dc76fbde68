/** What the API says of itself: OpenAPI, models, network, health and metrics, checked against what it really answers. */
import { describe, expect, it } from 'vitest';
import { ChatCompletionChunkSchema, ChatCompletionSchema } from '@tussah/protocol/chat-response';
import { ErrorBodySchema } from '@tussah/protocol/errors';
import { ModelListSchema, ModelObjectSchema, NetworkSchema } from '@tussah/protocol/network';
import { ReceiptSchema } from '@tussah/protocol/receipts';
import * as v from 'valibot';
import { all, eventsOf, MODEL, says, startNetwork, type TestNetwork } from '../testing/harness.ts';

const ANSWER = '12 + 7 = 19.';

interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : refsIn(inner),
  );
}

function resolve(document: unknown, ref: string): unknown {
  return ref
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
}

describe('/openapi.json', () => {
  it('is OpenAPI 3.1 whose references lead somewhere, and lists only routes that there are', async () => {
    const network = await startNetwork();
    const document = await network.get<OpenApi>('/openapi.json');
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: 'Tussah', version: '0.1.0' });
    const refs = refsIn(document);
    expect(refs.length).toBeGreaterThan(8);
    for (const ref of refs) {
      expect(ref).toMatch(/^#\/components\/schemas\//);
      expect(resolve(document, ref), ref).toBeTypeOf('object');
    }
    for (const [path, operations] of Object.entries(document.paths))
      for (const [method, { responses }] of Object.entries(operations)) {
        expect(Object.keys(responses)).toEqual([path.endsWith('/cancel') ? '202' : '200', 'default']);
        const response = await fetch(`${network.url}${path.replace(/\{\w+\}/, 'x')}`, {
          method: method.toUpperCase(),
        });
        const body = (await response.json()) as { error?: { code: string } };
        expect(['not_found', 'method_not_allowed']).not.toContain(body.error?.code);
      }
  });

  it('describes the very parameters that are read', async () => {
    const network = await startNetwork();
    const { components } = await network.get<OpenApi>('/openapi.json');
    const { properties, required, additionalProperties } = components.schemas['ChatRequest'] as {
      properties: Record<string, unknown>;
      required: string[];
      additionalProperties: boolean;
    };
    expect(required).toEqual(['model', 'messages']);
    expect(additionalProperties).toBe(false);
    expect(Object.keys(properties)).toEqual(
      expect.arrayContaining(['stream', 'max_completion_tokens', 'seed', 'stop', 'tussah']),
    );
  });
});

const schemas = new Map<string, v.GenericSchema>([
  ['/v1/models', ModelListSchema],
  [`/v1/models/${MODEL}`, ModelObjectSchema],
  ['/v1/network', NetworkSchema],
  ['/v1/models/none', ErrorBodySchema],
  ['/v1/none', ErrorBodySchema],
]);

describe('answers', () => {
  it.each([...schemas])('of %s fit their schema', async (path, schema) => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    await network.answer({});
    expect(v.safeParse(schema, await network.get(path)).issues).toBeUndefined();
  });

  it('of chats and receipts fit theirs', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const answer = v.parse(ChatCompletionSchema, await network.answer({}));
    v.parse(ReceiptSchema, await network.get(`/v1/receipts/${answer.tussah.receipt.id}`));
    const response = await network.chat({ stream: true, stream_options: { include_usage: true } });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    const events = await all(eventsOf(response));
    for (const event of events) v.parse(ChatCompletionChunkSchema, event);
    expect(response.headers.get('x-tussah-job-id')).toBe(events.at(-1)?.tussah?.jobId);
  });
});

/** The value of a metric line. */
async function metric(network: TestNetwork, line: string): Promise<number> {
  const text = await (await fetch(`${network.url}/metrics`)).text();
  const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1));
}

describe('/metrics', () => {
  it('counts what happened', async () => {
    const network = await startNetwork();
    await network.chat({ tussah: { maxWaitMs: 0 } });
    await network.chat({ max_tokens: 1_020 });
    await network.contribute(says(ANSWER));
    const cheap = { promptNanoPerMillion: '1', completionNanoPerMillion: '1' };
    await network.contribute(
      async ({ jobId }, contributor) =>
        contributor.send({ type: 'job-failed', jobId, code: 'x', message: 'x' }),
      { ask: cheap },
    );
    const { usage, tussah } = await network.answer({});
    const label = `{model="${MODEL}"}`;
    const values = {
      [`tussah_jobs_total{model="${MODEL}",outcome="complete"}`]: 1,
      [`tussah_jobs_total{model="${MODEL}",outcome="failed"}`]: 1,
      'tussah_jobs_refused_total{code="context_length_exceeded"}': 1,
      'tussah_job_moves_total{reason="failed"}': 1,
      [`tussah_completion_tokens_total${label}`]: usage.completion_tokens,
      tussah_charged_ton_total: Number(tussah.receipt.chargedNano) / 1e9,
      [`tussah_first_token_seconds_count${label}`]: 1,
      [`tussah_job_seconds_count${label}`]: 2,
      tussah_connections: 2,
      tussah_contributors: 2,
      tussah_jobs_open: 0,
      [`tussah_model_queued${label}`]: 0,
      [`tussah_model_idle${label}`]: 2,
      tussah_guest_budget_ton: 1 - Number(tussah.receipt.chargedNano) / 1e9,
    };
    for (const [line, value] of Object.entries(values))
      expect(await metric(network, line), line).toBeCloseTo(value, 12);
    expect(await metric(network, 'process_cpu_seconds_total')).toBeGreaterThan(0);
  });
});

describe('health', () => {
  it('is told, and readiness with it', async () => {
    const network = await startNetwork();
    expect(await network.get('/healthz')).toEqual({ status: 'ok', version: '0.1.0' });
    expect(await network.get('/readyz')).toEqual({ status: 'ready' });
  });
});
