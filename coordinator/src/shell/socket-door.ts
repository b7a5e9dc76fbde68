/** Counts sockets of contributors and nodes together, altogether and by network address, and keeps them bounded. */
import type { IncomingMessage } from 'node:http';
import { networkOf } from './accounts.ts';

export interface SocketLimits {
  readonly connections: number;
  readonly connectionsPerNetwork: number;
  /** Whether a proxy in front tells addresses in X-Forwarded-For. */
  readonly trustProxy: boolean;
}

export class SocketDoor {
  readonly #limits: SocketLimits;
  readonly #byNetwork = new Map<string, number>();
  #size = 0;

  constructor(limits: SocketLimits) {
    this.#limits = limits;
  }

  /** Of the client; the proxy's own entry in X-Forwarded-For is the last. */
  networkOf(request: IncomingMessage): string {
    const forwarded = [request.headers['x-forwarded-for']].flat().join(',').split(',').at(-1)?.trim() ?? '';
    const { trustProxy } = this.#limits;
    return networkOf(trustProxy && forwarded !== '' ? forwarded : (request.socket.remoteAddress ?? ''));
  }

  /** Why no further socket from this network is taken. */
  closedFor(network: string): 'full' | 'network_full' | undefined {
    if (this.#size >= this.#limits.connections) return 'full';
    const own = this.#byNetwork.get(network) ?? 0;
    return own >= this.#limits.connectionsPerNetwork ? 'network_full' : undefined;
  }

  enter(network: string): void {
    this.#size += 1;
    this.#byNetwork.set(network, (this.#byNetwork.get(network) ?? 0) + 1);
  }

  leave(network: string): void {
    this.#size -= 1;
    const left = (this.#byNetwork.get(network) ?? 1) - 1;
    if (left > 0) this.#byNetwork.set(network, left);
    else this.#byNetwork.delete(network);
  }
}

/** The path that an upgrade is asked for. */
export const pathOf = ({ url }: IncomingMessage): string | undefined => url?.split('?')[0];
