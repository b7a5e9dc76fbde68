/**
 * The worker's own file. Its name says thread and not worker on purpose: the server lets scripts with that word in their names
 * talk to the hosts of models, and this one may talk to the coordinator alone.
 */
import { expose } from 'comlink';
import { PrivateDesk } from './desk.ts';
import { isLoopback } from '../service-worker/loopback.ts';
import { PrivateStore } from './private-store.ts';

expose(
  new PrivateDesk({
    baseURL: new URL('/v1', location.origin).href,
    loopback: isLoopback(location.hostname),
    store: new PrivateStore(),
    fetch: (url, init) => fetch(url, init),
    now: () => Date.now(),
  }),
);
