/** Preloaded into a peer that offers no setting for it: its servers listen on the loopback address alone. */
import { Server } from 'node:net';

const listen = Reflect.get(Server.prototype, 'listen') as (...args: unknown[]) => unknown;

/** As the peer calls it: with a port and, perhaps, a callback. */
function onLoopback(this: Server, port: number, ...rest: unknown[]): unknown {
  const callback = rest.find((arg) => typeof arg === 'function');
  return Reflect.apply(listen, this, [{ port, host: '127.0.0.1' }, callback]);
}
Reflect.set(Server.prototype, 'listen', onLoopback);
