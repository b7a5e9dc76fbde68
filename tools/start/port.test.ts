import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { choosePort, isPortFree, loopback } from './port.ts';

const free =
  (...ports: number[]) =>
  (port: number) =>
    Promise.resolve(ports.includes(port));

describe('choosing a port', () => {
  it('takes the first one when it is free', async () => {
    expect(await choosePort(4180, false, free(4180, 4181))).toEqual({ ok: true, value: 4180 });
  });

  it('goes on to the next free one', async () => {
    expect(await choosePort(4180, false, free(4183))).toEqual({ ok: true, value: 4183 });
  });

  it('refuses an exact port that is taken, however many others are free', async () => {
    expect(await choosePort(4180, true, free(4181))).toMatchObject({ failure: { code: 'port_taken' } });
  });

  it('gives up where everything near is taken, and never passes 65535', async () => {
    const asked: number[] = [];
    const chosen = await choosePort(65_530, false, (port) => {
      asked.push(port);
      return Promise.resolve(false);
    });
    expect(chosen.ok).toBe(false);
    expect(Math.max(...asked)).toBe(65_535);
  });

  it('sees that another program listens', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, loopback, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    expect(await isPortFree(port)).toBe(false);
    await new Promise((resolve) => server.close(resolve));
    expect(await isPortFree(port)).toBe(true);
  });
});
