/** Starts the worker with the private desk. Loaded when somebody first wants it: it is as large as the rest of the site. */
import { proxy, wrap, type Remote } from 'comlink';
import type { Failure } from '@tussah/protocol/errors';
import type { Desk, DeskEvent } from './desk-api.ts';
import { deskBroken } from './desk-broken.ts';

export interface OpenDesk {
  readonly desk: Remote<Desk>;
  /** Resolves when the worker can't be started or has crashed; nothing that was asked of it is answered then. */
  readonly broken: Promise<Failure>;
  /** A listener that can be given to the worker. */
  readonly listener: (listener: (event: DeskEvent) => void) => (event: DeskEvent) => void;
}

export function openDesk(): OpenDesk {
  const worker = new Worker(new URL('./desk.thread.ts', import.meta.url), { type: 'module' });
  const broken = new Promise<Failure>((resolve) => {
    worker.addEventListener('error', () => resolve(deskBroken));
    worker.addEventListener('messageerror', () => resolve(deskBroken));
  });
  return { desk: wrap<Desk>(worker), broken, listener: (listener) => proxy(listener) };
}
