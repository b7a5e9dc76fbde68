/** Chooses the port to listen on. */
import { createServer } from 'node:net';
import { fail, ok, type Result } from '@tussah/protocol/errors';

export const loopback = '127.0.0.1';
const candidates = 40;

/** `isFree` is asked one port after the other, upwards. An `exact` port is taken or refused. */
export async function choosePort(
  first: number,
  exact: boolean,
  isFree: (port: number) => Promise<boolean> = isPortFree,
): Promise<Result<number, 'port_taken'>> {
  const last = exact ? first : Math.min(first + candidates - 1, 65_535);
  for (let port = first; port <= last; port++) if (await isFree(port)) return ok(port);
  return fail({
    code: 'port_taken',
    message: exact ? `Port ${first} is taken.` : `All ports from ${first} to ${last} are taken.`,
    remedy: 'Stop what listens there, or choose another port with --port.',
  });
}

/** Whether one can listen there; a moment later another program may have taken it. */
export function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: loopback, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
