import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowedOwners } from './listening-owner.ts';

let proc: string;
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'tussah-proc-'));
  mkdirSync(join(proc, 'net'));
});
afterEach(() => rmSync(proc, { recursive: true, force: true }));

const header =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row = (address: string, state: string, inode: number) =>
  `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0 100 0 0 10 0`;

function sockets(tcp: readonly string[], tcp6: readonly string[] = []): void {
  writeFileSync(join(proc, 'net/tcp'), [header, ...tcp, ''].join('\n'));
  writeFileSync(join(proc, 'net/tcp6'), [header, ...tcp6, ''].join('\n'));
}

function program(pid: number, executable: string, inode: number, args: readonly string[] = []): void {
  mkdirSync(join(proc, String(pid), 'fd'), { recursive: true });
  symlinkSync('/dev/null', join(proc, String(pid), 'fd', '0'));
  symlinkSync(`socket:[${inode}]`, join(proc, String(pid), 'fd', '7'));
  symlinkSync(executable, join(proc, String(pid), 'exe'));
  writeFileSync(join(proc, String(pid), 'cmdline'), [executable, ...args, ''].join('\0'));
}

const python = '/usr/bin/python3.12';
const to = { address: '127.0.0.1', port: 8000 };
/** 8000. */
const port = '1F40';
const ask = (allowed: readonly string[] = [python]) => allowedOwners(to, allowed, proc);

describe('the program that listens', () => {
  it('is named with its arguments', async () => {
    sockets([row(`0100007F:${port}`, '0A', 501), row(`0100007F:0050`, '0A', 502)]);
    program(42, python, 501, ['-m', 'vllm', '--port', '8000']);
    program(43, '/usr/sbin/nginx', 502);
    const owner = { pid: 42, executable: python, arguments: ['-m', 'vllm', '--port', '8000'] };
    expect(await ask()).toEqual({ ok: true, value: [owner] });
  });

  it('may have the port over IPv6', async () => {
    sockets([], [row(`00000000000000000000000001000000:${port}`, '0A', 501)]);
    program(42, python, 501);
    expect((await ask()).ok).toBe(true);
  });

  it.each<[string, string, () => void]>([
    [
      'another program',
      'upstream_not_allowed',
      () => {
        sockets([row(`0100007F:${port}`, '0A', 501)]);
        program(42, '/tmp/python3.12', 501);
      },
    ],
    [
      'one that shares the port with another',
      'upstream_not_allowed',
      () => {
        sockets([row(`0100007F:${port}`, '0A', 501)]);
        program(42, python, 501);
        program(43, '/usr/bin/tee', 501);
      },
    ],
    [
      'one whose file was replaced',
      'upstream_not_allowed',
      () => {
        sockets([row(`0100007F:${port}`, '0A', 501)]);
        program(42, `${python} (deleted)`, 501);
      },
    ],
    [
      'one that other machines can reach',
      'upstream_exposed',
      () => {
        sockets([row(`00000000:${port}`, '0A', 501)]);
        program(42, python, 501);
      },
    ],
    [
      'one that other machines can reach over IPv6',
      'upstream_exposed',
      () => {
        sockets([], [row(`00000000000000000000000000000000:${port}`, '0A', 501)]);
        program(42, python, 501);
      },
    ],
    ['nobody', 'upstream_owner_unknown', () => sockets([])],
    [
      'only a connection',
      'upstream_owner_unknown',
      () => {
        sockets([row(`0100007F:${port}`, '01', 501)]);
        program(42, python, 501);
      },
    ],
    [
      'somebody who can’t be seen beside one that may',
      'upstream_owner_unknown',
      () => {
        sockets([row(`0100007F:${port}`, '0A', 501), row(`0200007F:${port}`, '0A', 502)]);
        program(42, python, 501);
      },
    ],
    [
      'somebody who can’t be seen',
      'upstream_owner_unknown',
      () => sockets([row(`0100007F:${port}`, '0A', 501)]),
    ],
  ])('is refused: %s', async (_, code, make) => {
    make();
    expect(await ask()).toMatchObject({ ok: false, failure: { code } });
  });
});

it.runIf(process.platform === 'linux')('finds this very process by the kernel’s own account', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const own = { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const result = await allowedOwners(own, [process.execPath]);
  await new Promise((resolve) => server.close(resolve));
  expect(result).toMatchObject({ ok: true, value: [{ pid: process.pid, executable: process.execPath }] });
});
