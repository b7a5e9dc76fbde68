import { describe, expect, it } from 'vitest';
import { defaultEngine, defaultModel, parseStartArguments } from './arguments.ts';

const parse = (...args: string[]) => parseStartArguments(args, [defaultModel, 'other']);
const codeOf = (...args: string[]) => {
  const parsed = parse(...args);
  return parsed.ok ? null : parsed.failure.code;
};

describe('the command line of npm start', () => {
  it('stays up with the usual model and engine when nothing is asked for', () => {
    expect(parse()).toEqual({
      ok: true,
      value: {
        kind: 'start',
        arguments: {
          once: null,
          tier: 'public',
          model: defaultModel,
          engine: defaultEngine,
          json: false,
          port: null,
          verbose: false,
        },
      },
    });
  });

  it('reads every option, in both spellings', () => {
    const parsed = parse('--once=-5 + 3?', '--json', '--model', 'other', '--engine', 'webllm', '--port=4999');
    expect(parsed).toMatchObject({
      value: { arguments: { once: '-5 + 3?', json: true, model: 'other', engine: 'webllm', port: 4999 } },
    });
  });

  it('shows the help before it complains about values', () => {
    expect(parse('--help', '--engine', 'steam')).toEqual({ ok: true, value: { kind: 'help' } });
  });

  it.each([
    ['an unknown flag', ['--twice', 'x']],
    ['a word without a flag', ['hello']],
    ['--once without a text', ['--once']],
    ['an empty question', ['--once', '  ']],
    ['--json without --once', ['--json']],
    ['an unknown engine', ['--engine', 'steam']],
    ['an unknown tier', ['--tier', 'secret']],
    ['port 0', ['--port', '0']],
    ['a port beyond 65535', ['--port', '65536']],
    ['a port that is no number', ['--port', '80a']],
  ])('refuses %s', (_, args) => {
    expect(codeOf(...args)).toBe('bad_flags');
  });

  it('refuses a model that is not in the catalogue and names those that are', () => {
    const parsed = parse('--model', 'gpt');
    expect(parsed).toMatchObject({
      failure: { code: 'model_not_found', remedy: expect.stringContaining('other') },
    });
  });

  it('takes private questions for the model of its node, and never moves others to another tier', () => {
    expect(parse('--once', 'x', '--tier', 'private')).toMatchObject({
      value: { arguments: { tier: 'private', model: defaultModel } },
    });
    expect(codeOf('--once', 'x', '--tier', 'private', '--model', 'other')).toBe('tier_unavailable');
  });
});
