/**
 * Where the upstream is: on this machine and nowhere else. A name is resolved once and the address is what is connected to,
 * so that it can't become another one later.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { fail, ok, type Result } from '@tussah/protocol/errors';

export interface LoopbackAddress {
  /** An address of the loopback interface, never a name. */
  readonly address: string;
  readonly port: number;
}

type Resolve = (name: string) => Promise<readonly string[]>;

const resolveName: Resolve = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/** `url` is an origin such as `http://127.0.0.1:8000`, with or without `/v1`. */
export async function loopbackOf(
  url: string,
  resolve: Resolve = resolveName,
): Promise<Result<LoopbackAddress, 'upstream_not_local'>> {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.protocol !== 'http:')
    return refuse('The upstream’s address is not an http address.');
  const plain =
    parsed.username === '' && parsed.password === '' && parsed.search === '' && parsed.hash === '';
  if (!plain || !/^\/(?:v1\/?)?$/.test(parsed.pathname))
    return refuse('The upstream’s address has more in it than host, port and /v1.');
  const port = parsed.port === '' ? 80 : Number(parsed.port);
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host) > 0 ? [host] : await resolve(host).catch(() => []);
  const [address] = addresses;
  if (address === undefined) return refuse('The upstream’s name can’t be resolved.');
  // One that is not would be enough to send a prompt out of the machine.
  if (!addresses.every(isLoopback)) return refuse('The upstream is not on this machine.');
  return ok({ address, port });
}

/** 127.0.0.0/8 and ::1 (RFC 6890). IPv4 addresses written as IPv6 are not taken. */
export const isLoopback = (address: string): boolean =>
  address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));

const refuse = (message: string): Result<never, 'upstream_not_local'> =>
  fail({
    code: 'upstream_not_local',
    message,
    remedy: 'Run the upstream in the same machine and image, and give --upstream http://127.0.0.1:PORT.',
  });
