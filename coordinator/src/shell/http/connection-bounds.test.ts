import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../testing/harness.ts';
import { openSocket, responseOf } from '../testing/raw-http.ts';
import { boundConnections, type ConnectionBounds } from './connection-bounds.ts';

const large = 'x'.repeat(16 * 1024 * 1024);

async function serve(bounds: Partial<ConnectionBounds>): Promise<{ server: Server; url: string }> {
  const server = createServer((_, response) => response.end(large));
  boundConnections(server, { total: 10, perNetwork: 10, sendTimeoutMs: 60_000, ...bounds });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const count = (server: Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((_, open) => resolve(open)));

test.each([{ total: 3 }, { perNetwork: 3 }])(
  'connections beyond %o are closed, and make room again',
  async (bounds) => {
    const { server, url } = await serve(bounds);
    const open = (): Socket => {
      const socket = openSocket(url).resume();
      onTestFinished(() => void socket.destroy());
      return socket;
    };
    const first = [open(), open(), open()];
    await until('three are open', async () => (await count(server)) === 3);
    const fourth = open();
    await until('the fourth is closed', () => fourth.destroyed);
    expect(first.filter((socket) => socket.destroyed)).toEqual([]);
    first[0]?.destroy();
    await until('one has gone', async () => (await count(server)) === 2);
    open();
    await until('another has come', async () => (await count(server)) === 3);
  },
);

test('answers that are not read are given up, also of requests sent one after the other', async () => {
  const { server, url } = await serve({ sendTimeoutMs: -2_000_000 });
  const givenUp = new Promise<boolean>((resolve) => {
    server.on('connection', (socket) => socket.on('close', () => resolve(true)));
  });
  const deaf = openSocket(url);
  deaf.pause();
  onTestFinished(() => void deaf.destroy());
  deaf.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(3));
  expect(await givenUp).toBe(true);
});

test('an answer that is read takes the time it needs', async () => {
  const { url } = await serve({ sendTimeoutMs: 0 });
  const socket = openSocket(url);
  const response = responseOf(socket);
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  expect((await response).body.length).toBe(large.length);
});
