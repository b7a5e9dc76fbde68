/**
 * Bounds on connections of any kind, before anything has been said on them, and on answers that nobody reads to the end.
 * Together with the times for requests, hellos and heartbeats they bound what silent or slow peers cost.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { networkOf } from '../accounts.ts';

export interface ConnectionBounds {
  /** Open connections altogether, contributors included. */
  readonly total: number;
  /** From one network address; Infinity behind a proxy, from which all of them come. */
  readonly perNetwork: number;
  /** An answer that has been made is read within this, and the time that its bytes take. */
  readonly sendTimeoutMs: number;
}

/** Who reads slower is not waited for. */
const READ_BYTES_PER_SECOND = 65_536;

/** Connections beyond the bounds are closed at once, without a word: a word would cost more than the connection. */
export function boundConnections(server: Server, bounds: ConnectionBounds): void {
  const byNetwork = new Map<string, number>();
  let total = 0;
  // One function for all sockets: one for each would be part of what an idle contributor costs.
  function onClose(this: Socket): void {
    total -= 1;
    // Node remembers the address of a socket that is closed.
    const network = networkOf(this.remoteAddress ?? '');
    const left = (byNetwork.get(network) ?? 1) - 1;
    if (left > 0) byNetwork.set(network, left);
    else byNetwork.delete(network);
  }
  server.prependListener('connection', (socket: Socket) => {
    const network = networkOf(socket.remoteAddress ?? '');
    const own = byNetwork.get(network) ?? 0;
    if (total >= bounds.total || own >= bounds.perNetwork) {
      socket.destroy();
      return;
    }
    total += 1;
    byNetwork.set(network, own + 1);
    socket.on('close', onClose);
  });
  // Before the handler of requests, which may answer at once. `prefinish`: all of it has been handed to the socket, which
  // comes later for answers that wait behind another on the same connection.
  server.prependListener('request', (_: IncomingMessage, response: ServerResponse) => {
    response.once('prefinish', () => boundSending(response, bounds.sendTimeoutMs));
  });
}

/** Gives up an answer that has been made and is not read, whatever else the peer sends meanwhile. */
function boundSending(response: ServerResponse, patienceMs: number): void {
  const { socket } = response;
  if (socket === null) return;
  const timer = setTimeout(
    () => socket.destroy(),
    patienceMs + (1_000 * socket.writableLength) / READ_BYTES_PER_SECOND,
  );
  const stop = () => clearTimeout(timer);
  response.once('finish', stop);
  response.once('close', stop);
}
