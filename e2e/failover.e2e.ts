/**
 * Contributors are killed while they answer, at a random token and in every way we know; each answer must go on as if nothing
 * had happened, and its receipt must say who made which part. Frames behind the drawn token are held back until the
 * kill has struck: the bundled model is faster than any kill, and would be done.
 */
import { hashOfIds } from '@tussah/protocol/bytes';
import type { Receipt, Segment } from '@tussah/protocol/receipts';
import { verifyReceiptText } from '@tussah/coordinator/verify/verify-receipt';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askStreaming, type Answer } from './failover/answer.ts';
import { Crew, type Cut, type Watched } from './failover/crew.ts';
import { planRun, type PlannedAnswer } from './failover/plan.ts';
import type { Random } from './failover/random.ts';
import type { Body } from './failover/requests.ts';
import { failover } from './failover/settings.ts';
import { MODEL, NetworkUnderTest } from './network-under-test.ts';

/** Below this there is hardly anything to cut. */
const TOKENS_MIN = 24;
const ANSWER_MS = 120_000;

const receiptOf = ({ lastChunk }: Answer): Receipt => (lastChunk.tussah as { receipt: Receipt }).receipt;

describe.each(failover.engines)('contributors killed in mid-answer, with %s', (engine) => {
  const plan = planRun(engine, failover.kills, failover.seed).map((answer, i) => ({
    ...answer,
    name: `${i + 1}: ${answer.request.name}; ${answer.kills.map(({ name }) => name).join(', then ')}`,
  }));
  let network: NetworkUnderTest;
  let client: OpenAI;
  let crew: Crew;
  let cuts = 0;

  beforeAll(async () => {
    network = await NetworkUnderTest.start([], 'e2e/failover/coordinator.ts');
    client = await network.client();
    crew = new Crew(network, engine);
  });
  afterAll(async () => {
    await network.stop();
  });

  const ask = (asked: Asked, at: readonly Cut[] = []) =>
    crew.watch(at, (onText) => askStreaming(client, asked.body, asked.stop, onText));

  /** The answer that nobody interrupts, of a request that has one long enough. */
  async function uninterrupted({ request, random }: PlannedAnswer): Promise<Uncut> {
    for (;;) {
      const body = request.body(random);
      const whole = await ask({ body, stop: null });
      if (whole.ids.length < TOKENS_MIN) continue;
      if (request.stops === undefined) return { body, stop: null, whole };
      const stop = stopWithin(whole.text, random);
      return { body, stop, whole: await ask({ body, stop }) };
    }
  }

  test.for(plan)('$name', { timeout: ANSWER_MS }, async (planned) => {
    await crew.muster(planned.kills.length + 1);
    const { whole, ...asked } = await uninterrupted(planned);
    const at = cutsOf(planned, whole.ids.length);
    const answer = await ask(asked, at);
    const receipt = receiptOf(answer);
    const lost = receipt.segments.filter(({ signature }) => signature === null);
    cuts += Math.min(lost.length, planned.kills.length);
    process.stdout.write(
      `${engine}, seed ${failover.seed}, ${planned.name}: drawn at ${at.map(({ position }) => position).join(', ')}` +
        ` of ${whole.ids.length} tokens; made ${receipt.segments.map(({ tokens, end }) => `${tokens} ${end}`).join(', ')}\n`,
    );
    expect(answer.ids).toEqual(whole.ids);
    expect(answer.text).toBe(whole.text);
    expect(answer.finishReason).toBe(whole.finishReason);
    expectSameLogprobs(answer, whole);
    await expectSound(answer, receipt, whole.ids);
    // A machine under heavy load may make a cut of its own.
    expect(lost.length).toBeGreaterThanOrEqual(planned.kills.length);
    for (const { ends } of planned.kills) expect(lost.some(({ end }) => ends.includes(end))).toBe(true);
  });

  test(`made ${failover.kills} real cuts`, () => {
    expect(cuts).toBe(failover.kills);
  });

  test.each([
    ['response_format.type', { response_format: { type: 'json_object' } }],
    ['tools', { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] }],
  ] as const)(
    '%s is refused, so there is no grammar that going on would have to restore',
    async (param, change) => {
      const messages = [{ role: 'user', content: 'Hi' }] as const;
      const asking = client.chat.completions.create({
        model: MODEL,
        messages: [...messages],
        ...change,
      } as never);
      await expect(asking).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter', param });
    },
  );
});

interface Asked {
  readonly body: Body;
  readonly stop: string | null;
}

interface Uncut extends Asked {
  readonly whole: Answer & Watched;
}

/** Where each kill falls; two of them well apart, so that both find something to cut. */
function cutsOf({ kills, random }: PlannedAnswer, tokens: number): Cut[] {
  const share = Math.floor(tokens / kills.length);
  return kills.map((kill, i) => {
    const final = i === kills.length - 1;
    const to = final ? tokens : (i + 1) * share - 1;
    // Now and then only the end is missing.
    return { kill, position: final && random.chance(0.2) ? to : random.whole(i * share + 1, to) };
  });
}

/** A piece of the text from its second half that is nowhere earlier; it begins anywhere, also within a token. */
function stopWithin(text: string, random: Random): string {
  for (;;) {
    const at = random.whole(Math.floor(text.length / 3), text.length - 12);
    const stop = text.slice(at, at + 8);
    if (text.indexOf(stop) === at && stop.isWellFormed()) return stop;
  }
}

/** Probabilities of a prompt read at once and of one made token by token differ in their last digits. */
function expectSameLogprobs(answer: Answer, whole: Answer): void {
  expect(answer.logprobs.map(({ token }) => token)).toEqual(whole.logprobs.map(({ token }) => token));
  for (const [i, { logprob }] of answer.logprobs.entries())
    expect(logprob).toBeCloseTo(whole.logprobs[i]?.logprob ?? NaN, 2);
}

/** The receipt verifies offline, and its segments are the parts of this very answer. */
async function expectSound({ lastChunk }: Answer, receipt: Receipt, ids: readonly number[]): Promise<void> {
  const verdict = await verifyReceiptText(JSON.stringify(lastChunk));
  expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
  const { segments } = receipt;
  const end = ({ firstPosition, tokens }: Segment) => firstPosition + tokens;
  expect(segments.map(({ firstPosition }) => firstPosition)).toEqual([0, ...segments.slice(0, -1).map(end)]);
  expect(segments.map(({ idsHash }) => idsHash)).toEqual(
    segments.map((segment) => hashOfIds(ids.slice(segment.firstPosition, end(segment)))),
  );
  expect(segments.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(ids.length);
  expect(segments.filter(({ promptTokens }) => promptTokens > 0)).toHaveLength(1);
  const last = segments.at(-1);
  // Nobody is left to sign for an answer whose contributor was lost when all of it was said, its end included.
  if (last?.signature !== null) expect(last?.end).toBe(receipt.finishReason);
  expect(new Set(segments.map(({ contributor }) => contributor)).size).toBe(segments.length);
}
