import { describe, expect, it } from 'vitest';
import { loopbackOf } from './loopback.ts';

const names: Readonly<Record<string, readonly string[]>> = {
  localhost: ['127.0.0.1', '::1'],
  both: ['127.0.0.1', '10.0.0.7'],
  outside: ['93.184.216.34'],
};
const of = (url: string) =>
  loopbackOf(url, (name) =>
    names[name] === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(names[name]),
  );

describe('the upstream’s address', () => {
  it.each([
    ['http://127.0.0.1:8000', '127.0.0.1', 8000],
    ['http://127.0.0.1:8000/v1', '127.0.0.1', 8000],
    ['http://127.3.2.1:8000/v1/', '127.3.2.1', 8000],
    ['http://[::1]:30000/v1', '::1', 30_000],
    ['http://localhost:8080', '127.0.0.1', 8080],
    ['http://localhost', '127.0.0.1', 80],
  ])('%s is on this machine', async (url, address, port) => {
    expect(await of(url)).toEqual({ ok: true, value: { address, port } });
  });

  it.each([
    'https://127.0.0.1:8000',
    'http://10.0.0.7:8000',
    'http://0.0.0.0:8000',
    'http://[::]:8000',
    'http://[::ffff:7f00:1]:8000',
    'http://169.254.169.254/v1',
    'http://both:8000',
    'http://outside:8000',
    'http://unknown:8000',
    'http://user:secret@127.0.0.1:8000',
    'http://127.0.0.1:8000/v1/chat',
    'http://127.0.0.1:8000/v1?x=1',
    'http://127.0.0.1@outside:8000',
    'unix:/run/vllm.sock',
    '127.0.0.1:8000',
    '',
  ])('%s is refused', async (url) => {
    expect(await of(url)).toMatchObject({ ok: false, failure: { code: 'upstream_not_local' } });
  });
});
