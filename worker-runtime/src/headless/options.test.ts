import { describe, expect, test } from 'vitest';
import { exitCodes, help, readArguments } from './options.ts';

const wallet = 'E'.repeat(48);
const least = ['--coordinator', 'http://127.0.0.1:4180', '--model', 'tussah-tiny'];

describe('arguments', () => {
  test('the least, and their defaults', () => {
    expect(readArguments(least)).toEqual({
      ok: true,
      value: {
        coordinatorUrl: 'http://127.0.0.1:4180',
        model: 'tussah-tiny',
        engine: 'auto',
        wallet: null,
        softwareWebGpu: 'auto',
        maxMs: null,
        json: false,
      },
    });
  });

  test('all of them', () => {
    const more = `--wallet ${wallet} --engine webllm --max-hours 1.5 --profile /p --browser /b`;
    const all = [...least, ...more.split(' '), '--no-software-webgpu', '--json'];
    expect(readArguments(all)).toMatchObject({
      value: {
        wallet,
        engine: 'webllm',
        maxMs: 5_400_000,
        profileDir: '/p',
        browserPath: '/b',
        softwareWebGpu: 'never',
        json: true,
      },
    });
  });

  test.each([
    ['--coordinator is missing.', ['--model', 'm']],
    [
      '--coordinator is not the origin of an http or https site.',
      ['--coordinator', 'tussah.example', '--model', 'm'],
    ],
    [
      '--coordinator is not the origin of an http or https site.',
      ['--coordinator', 'http://x/y', '--model', 'm'],
    ],
    ['--model is missing.', ['--coordinator', 'http://x']],
    ['--wallet is not a TON address.', [...least, '--wallet', 'mine']],
    ['--engine magic does not exist.', [...least, '--engine', 'magic']],
    ['--max-hours is not a number of hours.', [...least, '--max-hours', '0']],
    ["Unknown option '--fast'", [...least, '--fast']],
  ])('refused with a remedy: %s', (message, args) => {
    const read = readArguments(args);
    expect(read).toMatchObject({ ok: false, failure: { code: 'bad_usage' } });
    expect(read.ok ? '' : read.failure.message).toContain(message);
    expect(read.ok ? '' : read.failure.remedy).not.toBe('');
  });

  test('help names every option and exit code', () => {
    expect(readArguments(['--help'])).toEqual({ ok: true, value: 'help' });
    for (const code of Object.values(exitCodes)) expect(help).toContain(`${code} `);
  });
});
