/** `npm start` as a stranger runs it: almost no environment, one question, one line of JSON. */
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { verifyReceipt } from '@tussah/protocol/receipts';
import { root } from './network-under-test.ts';

function npmStart(
  args: readonly string[],
): Promise<{ code: number | null; lastLine: string; errors: string; ms: number }> {
  const { PATH = '', HOME = '' } = process.env;
  const from = performance.now();
  const child = spawn('npm', ['start', '--silent', '--', ...args], {
    cwd: root,
    env: { PATH, HOME },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let errors = '';
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
  return new Promise((done) =>
    child.once('close', (code) =>
      done({ code, lastLine: out.trimEnd().split('\n').at(-1) ?? '', errors, ms: performance.now() - from }),
    ),
  );
}

test.each([
  // The first may find no profile of the browser: models and pipelines are then made anew.
  ['webllm', 60_000],
  ['webllm', 25_000],
  ['wllama', 20_000],
] as const)(
  'answers once through %s and accounts for it, within %i ms',
  async (engine, withinMs) => {
    const { code, lastLine, errors, ms } = await npmStart([
      '--once',
      'What is 12 + 7?',
      '--json',
      '--engine',
      engine,
    ]);
    expect(code, errors).toBe(0);
    const said = JSON.parse(lastLine) as Record<string, unknown>;
    expect(said).toMatchObject({
      answer: '12 + 7 = 19.',
      model: 'tussah-tiny',
      tier: 'public',
      engine,
      ledgerBalanced: true,
      usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) },
      ttftMs: expect.any(Number),
      tokensPerSecond: expect.any(Number),
      build: expect.stringContaining(engine),
    });
    expect(await verifyReceipt(said['receipt'])).toMatchObject({ valid: true });
    expect(ms).toBeLessThan(withinMs);
  },
  90_000,
);

test.each([
  [['--once', 'Hi', '--json', '--model', 'no-such-model'], 'model_not_found'],
  [['--once', 'Hi', '--json', '--tier', 'private', '--model', 'smollm2-135m-instruct'], 'tier_unavailable'],
  [['--once', 'Hi', '--json', '--nonsense'], 'bad_flags'],
] as const)(
  'fails with a code and a remedy: %j',
  async (args, code) => {
    const result = await npmStart(args);
    expect(result.code).toBe(1);
    expect(JSON.parse(result.lastLine)).toMatchObject({
      error: { code, message: expect.any(String), remedy: expect.any(String) },
    });
  },
  90_000,
);
