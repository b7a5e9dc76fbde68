/**
 * Which programs own a listening port, by Linux's own account (proc(5)): whoever configured the image says which executables
 * may serve, and a port that another program has taken is refused.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import type { LoopbackAddress } from './loopback.ts';

export interface Owner {
  readonly pid: number;
  /** Path of its executable. */
  readonly executable: string;
  readonly arguments: readonly string[];
}

export type OwnerFailureCode = 'upstream_owner_unknown' | 'upstream_exposed' | 'upstream_not_allowed';

const LISTEN = '0A';

/** Which sockets listen there now: others than before mean that another process has the port, or the same started again. */
export async function listeningSockets(port: number, proc = '/proc'): Promise<string> {
  const inodes = (await listeners(port, proc)).map(({ inode }) => inode);
  return inodes.sort().join();
}

/** All owners of the port, each with an executable in `allowed`. `proc` is another folder in tests. */
export async function allowedOwners(
  { address, port }: LoopbackAddress,
  allowed: readonly string[],
  proc = '/proc',
): Promise<Result<readonly Owner[], OwnerFailureCode>> {
  const listening = await listeners(port, proc);
  if (listening.length === 0)
    return unknown(`Nothing listens on port ${port} that this process can see (address ${address}).`);
  if (listening.some(({ loopback }) => !loopback))
    return fail({
      code: 'upstream_exposed',
      message: `The upstream listens on port ${port} for other machines too.`,
      remedy: 'Start it with --host 127.0.0.1: whoever can reach it could ask it past all of this.',
    });
  const inodes = new Set(listening.map(({ inode }) => inode));
  const found = await ownersOf(inodes, proc);
  for (const { sockets } of found) for (const inode of sockets) inodes.delete(inode);
  if (inodes.size > 0) return unknown('A program that listens there can’t be seen from here.');
  const owners = found.map(({ owner }) => owner);
  const stranger = owners.find(({ executable }) => !allowed.includes(executable));
  if (stranger === undefined) return ok(owners);
  return fail({
    code: 'upstream_not_allowed',
    message: `Port ${port} belongs to ${stranger.executable}, which is not an upstream of this image.`,
    remedy: 'Stop that program, or build an image that names it with --upstream-executable.',
  });
}

const unknown = (message: string): Result<never, OwnerFailureCode> =>
  fail({
    code: 'upstream_owner_unknown',
    message,
    remedy: 'Start the upstream first, in the same PID and network namespace and as the same user.',
  });

interface Listener {
  readonly inode: string;
  readonly loopback: boolean;
}

/** /proc/net/tcp and tcp6: local address and port in hexadecimal, state, inode in the tenth column. */
async function listeners(port: number, proc: string): Promise<Listener[]> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const tables = await Promise.all(
    ['net/tcp', 'net/tcp6'].map((name) => readFile(join(proc, name), 'utf8').catch(() => '')),
  );
  return tables.flatMap((table) =>
    table
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const columns = line.trim().split(/\s+/);
        const [address = '', localPort = ''] = (columns[1] ?? '').split(':');
        const inode = columns[9];
        if (columns[3] !== LISTEN || localPort !== wanted || inode === undefined) return [];
        return [{ inode, loopback: isLoopbackHex(address) }];
      }),
  );
}

/** Words of four bytes in the machine's order, which is little-endian on both kinds of confidential machines. */
const isLoopbackHex = (address: string): boolean =>
  address.length === 8 ? address.endsWith('7F') : address === '00000000000000000000000001000000';

interface Found {
  readonly owner: Owner;
  /** Which of the sockets it has. */
  readonly sockets: readonly string[];
}

async function ownersOf(inodes: ReadonlySet<string>, proc: string): Promise<Found[]> {
  const names = (await readdir(proc).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(names.map((name) => ownerOf(name, inodes, proc)));
  return found.filter((owner) => owner !== undefined);
}

/** Undefined when it has none of the sockets, has just ended, or belongs to somebody else. */
async function ownerOf(name: string, inodes: ReadonlySet<string>, proc: string): Promise<Found | undefined> {
  const folder = join(proc, name);
  try {
    const sockets: string[] = [];
    for (const fd of await readdir(join(folder, 'fd'))) {
      const target = await readlink(join(folder, 'fd', fd)).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined && inodes.has(inode)) sockets.push(inode);
    }
    if (sockets.length === 0) return undefined;
    const [executable, commandLine] = await Promise.all([
      readlink(join(folder, 'exe')),
      readFile(join(folder, 'cmdline'), 'utf8'),
    ]);
    const owner = { pid: Number(name), executable, arguments: commandLine.split('\0').slice(1, -1) };
    return { owner, sockets };
  } catch {
    return undefined;
  }
}
