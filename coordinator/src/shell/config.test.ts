import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig, settings, settingsHelp, variableOf } from './config.ts';

describe('settings', () => {
  it('come from flags before variables before defaults', () => {
    const env = { TUSSAH_PORT: '5000', TUSSAH_FEE_BASIS_POINTS: '100' };
    const config = readConfig(['--port', '6000'], env, '/root');
    expect(config).toMatchObject({ port: 6000, feeBasisPoints: 100, host: '127.0.0.1', trustProxy: false });
    expect(config.dataFolder).toBe('/root/.tussah/coordinator');
    expect(readConfig(['--data', '/books'], {}, '/root').dataFolder).toBe('/books');
  });

  it.each([
    ['an unknown flag', ['--colour', 'red'], /--colour.*--help/],
    ['a word', ['now'], /now.*--help/],
    ['a flag without its value', ['--port'], /--port.*--help/],
    [
      'a port that is none',
      ['--port', '99999'],
      /--port must be a whole number from 0 to 65535, not "99999"/,
    ],
    ['a port in words', ['--port', 'high'], /--port .* not "high"/],
    ['a negative port', ['--port=-1'], /--port/],
    ['a fee above everything', ['--fee-basis-points', '10001'], /--fee-basis-points/],
    [
      'a sum with too many digits',
      ['--guest-fund-ton', '0.0000000001'],
      /--guest-fund-ton must be a sum in TON such as 0.5/,
    ],
    ['a negative sum', ['--guest-daily-ton=-1'], /--guest-daily-ton/],
    ['a yes', ['--trust-proxy', 'yes'], /--trust-proxy must be one of true, false, not "yes"/],
    ['a level that is none', ['--log-level', 'loud'], /--log-level must be one of .*debug/],
    ['no connections', ['--contributors-max', '0'], /--contributors-max/],
  ])('refuse %s with a sentence', (_, args, sentence) => {
    expect(() => readConfig(args, {}, '/root')).toThrow(ConfigError);
    expect(() => readConfig(args, {}, '/root')).toThrow(sentence);
  });

  it('are all in the help, each with its default', () => {
    for (const [name, { default: value }] of Object.entries(settings))
      expect(settingsHelp()).toMatch(new RegExp(`--${name} .*\\(${value.replaceAll('.', '\\.')}\\)`));
    expect(variableOf('guest-fund-ton')).toBe('TUSSAH_GUEST_FUND_TON');
  });
});
