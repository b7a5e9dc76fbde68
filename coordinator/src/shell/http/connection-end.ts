/** Tells those who answer a request that its connection has closed. */
import type { Socket } from 'node:net';

const waiting = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls back once when the connection closes; returns how to stop waiting for it. However many requests are under way on
 * one connection (RFC 9112 section 9.3.2), it has one listener.
 */
export function onceClosed(socket: Socket, act: () => void): () => void {
  let acts = waiting.get(socket);
  if (acts === undefined) {
    acts = new Set();
    waiting.set(socket, acts);
    const all = acts;
    socket.once('close', () => {
      for (const each of all) each();
    });
  }
  acts.add(act);
  return () => void acts.delete(act);
}
