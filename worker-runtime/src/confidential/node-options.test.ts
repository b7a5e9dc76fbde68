import { describe, expect, it } from 'vitest';
import { nodeHelp, readNodeOptions } from './node-options.ts';

const coordinator = ['--coordinator', 'http://127.0.0.1:4180'];
const real = [
  ...coordinator,
  '--upstream',
  'http://127.0.0.1:8000/v1',
  '--upstream-executable',
  '/usr/bin/python3.12',
  '--model',
  'm',
  '--weights',
  '/models/m',
  '--tee',
  'tdx',
  '--image',
  'node-1',
  '--price-prompt',
  '10',
  '--price-completion',
  '40',
];
const without = (name: string) => real.filter((_, i) => real[i] !== name && real[i - 1] !== name);
const message = (args: readonly string[]) => {
  const read = readNodeOptions(args);
  return read.ok ? 'accepted' : read.failure.message;
};

it('reads a real node', () => {
  expect(readNodeOptions([...real, '--concurrency', '64', '--epoch-minutes', '30'])).toMatchObject({
    ok: true,
    value: {
      coordinatorUrl: 'http://127.0.0.1:4180',
      model: 'm',
      price: { promptNanoPerMillion: '10', completionNanoPerMillion: '40' },
      suite: 'xwing-hkdf-sha256-aes256gcm',
      concurrency: 64,
      lifeMs: 1_800_000,
      upstream: { url: 'http://127.0.0.1:8000/v1', model: 'm', executables: ['/usr/bin/python3.12'] },
      hardware: { tee: 'tdx', image: 'node-1', nvattest: 'nvattest' },
    },
  });
});

it('takes the embedded upstream for a simulated node, with the catalogue’s price', () => {
  expect(readNodeOptions([...coordinator, '--simulated'])).toMatchObject({
    value: {
      model: 'tussah-tiny',
      upstream: null,
      hardware: null,
      price: { promptNanoPerMillion: '1000000', completionNanoPerMillion: '4000000' },
    },
  });
});

it('reads a machine without a GPU, and a PCCS', () => {
  const args = [...real, '--no-gpu', '--pccs', 'https://pccs.example'];
  expect(readNodeOptions(args)).toMatchObject({
    value: {
      hardware: {
        nvattest: null,
        tdx: { pccs: 'https://pccs.example', rootCrl: 'https://pccs.example/sgx/certification/v4/rootcacrl' },
      },
    },
  });
});

describe('refuses', () => {
  it.each([
    ['--coordinator is missing.', []],
    ['--coordinator is not the origin', ['--coordinator', 'ftp://x']],
    ['--upstream is missing.', without('--upstream')],
    ['--upstream-executable is missing.', without('--upstream-executable')],
    ['--weights is missing.', without('--weights')],
    ['--model is missing.', without('--model')],
    ['--tee is missing.', without('--tee')],
    ['--tee sgx does not exist.', [...without('--tee'), '--tee', 'sgx']],
    ['--image is missing', without('--image')],
    ['The price is missing', without('--price-prompt')],
    ['The price is missing', [...real, '--price-prompt', '1.5']],
    ['--wallet is not a TON address.', [...real, '--wallet', 'x']],
    ['--suite null does not exist.', [...real, '--suite', 'null']],
    ['--concurrency is not', [...real, '--concurrency', '0']],
    ['--epoch-minutes is not', [...real, '--epoch-minutes', '1441']],
    ['--pccs, --kds and --ocsp', [...real, '--kds', 'file:///x']],
    ['--embedded goes with --simulated only.', [...without('--upstream'), '--embedded']],
    ['The embedded upstream has only', [...coordinator, '--simulated', '--model', 'other']],
    ['Unknown option', [...real, '--debug']],
  ])('%s', (start, args) => {
    expect(message(args)).toContain(start);
  });
});

it('explains every option', () => {
  for (const arg of real.filter((each) => each.startsWith('--'))) expect(nodeHelp).toContain(arg);
  expect(readNodeOptions(['--help', '--nonsense-free'])).toMatchObject({ ok: false });
  expect(readNodeOptions(['--help'])).toEqual({ ok: true, value: 'help' });
});
