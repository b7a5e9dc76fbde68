/** Puts a coordinator together from its parts, starts it, and stops it without losing anything. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { parsePolicy, type Policy } from '@tussah/attestation/policy/policy';
import { catalogue } from '@tussah/models/catalogue';
import { limits } from '@tussah/protocol/limits';
import { priceFromWire } from '@tussah/protocol/money';
import type { Logger } from 'pino';
import { defaultCoreConfig, type CoreConfig } from '../core/config.ts';
import { ledgerAccounts } from '../core/ledger.ts';
import { initialState, type ModelInfo } from '../core/state.ts';
import { Accounts } from './accounts.ts';
import type { PrivateEvent } from '../core/private/events.ts';
import { ConfigError, type CoordinatorConfig } from './config.ts';
import { ContributorSockets } from './contributor-sockets.ts';
import { lockDataFolder } from './data-lock.ts';
import { Dispatcher, type EffectHandlers } from './dispatcher.ts';
import { effectHandlers } from './effects.ts';
import { developmentCredit } from './http/admin.ts';
import { createServer } from './http/server.ts';
import { JobStreams } from './job-streams.ts';
import { Metrics } from './metrics.ts';
import { Directory } from './private/directory.ts';
import { privateHandler } from './private/effects.ts';
import { EvidenceChecker } from './private/evidence.ts';
import { NodeSockets } from './private/node-sockets.ts';
import { SealedStreams } from './private/sealed-streams.ts';
import { SocketDoor } from './socket-door.ts';
import { loadSigner, SignatureChecker } from './signer.ts';
import { openSqliteStore } from './store/sqlite-store.ts';
import type { Store } from './store/port.ts';
import { TokenBuckets } from './token-bucket.ts';
import { Tokenizers } from './tokenizers.ts';

/** Running jobs get this long to end when the coordinator stops. */
const DRAIN_MS = 10_000;
/** Answers cut then get this long to be written into the books. */
const SETTLE_MS = 2_000;
const GUEST_REQUESTS_PER_SECOND = 10;
const GUEST_REQUESTS_BURST = 60;

export interface Coordinator {
  readonly url: string;
  readonly publicKey: string;
  /** Resolves if a broken invariant ends the coordinator; the process should exit. */
  readonly broken: Promise<unknown>;
  /** Refuses new work, lets running jobs end, closes the books. */
  close(): Promise<void>;
}

export async function startCoordinator(options: {
  readonly config: CoordinatorConfig;
  readonly core?: Partial<CoreConfig>;
  readonly modelsFolder: string;
  readonly version: string;
  readonly log: Logger;
  readonly requestTimeoutMs?: number;
  readonly clientGraceMs?: number;
  readonly drainMs?: number;
  /** For tests of what a crash leaves behind: a store and effects that stop short. */
  readonly openStore?: typeof openSqliteStore;
  readonly wrapEffects?: (handlers: EffectHandlers) => EffectHandlers;
}): Promise<Coordinator> {
  const { config, log } = options;
  const now = Date.now;
  const policy = config.nodePolicyFile === null ? undefined : readPolicy(config.nodePolicyFile);
  mkdirSync(config.dataFolder, { recursive: true, mode: 0o700 });
  const unlock = lockDataFolder(config.dataFolder);
  const signer = loadSigner(join(config.dataFolder, 'coordinator-key.pem'));
  const store = (options.openStore ?? openSqliteStore)(join(config.dataFolder, 'coordinator.sqlite'));
  await fundGuests(store, config.guestFundNano);
  const tokenizers = new Tokenizers(options.modelsFolder, join(config.dataFolder, 'tokenizers'));
  await tokenizers.loadBundled();
  const state = initialState({
    config: {
      ...defaultCoreConfig,
      ...coreConfig(config),
      privateTier: policy !== undefined,
      ...options.core,
    },
    coordinator: signer.publicKey,
    models: catalogue.map(modelInfo),
    balances: await store.balances(),
    totals: await store.totals(),
  });
  let reportBroken: (error: unknown) => void = () => undefined;
  const broken = new Promise<unknown>((resolve) => (reportBroken = resolve));
  const dispatcher = new Dispatcher(state, tokenizers, now, reportBroken);
  const streams = new JobStreams(
    (jobId) => dispatcher.post({ type: 'job-abandoned', jobId, code: 'client_gone' }),
    now,
    options.clientGraceMs ?? limits.clientGraceMs,
  );
  const door = new SocketDoor({
    connections: config.contributorsMax,
    connectionsPerNetwork: config.contributorsPerNetwork,
    trustProxy: config.trustProxy,
  });
  const sockets = new ContributorSockets(door, (event) => dispatcher.post(event), now);
  const postPrivate = (event: PrivateEvent) => dispatcher.post({ type: 'private', event });
  const nodes = new NodeSockets(door, policy !== undefined, postPrivate, now);
  const sealed = new SealedStreams();
  const { directory, recovered } = await Directory.open({
    store,
    signer,
    now,
    onAppended: (placed) => postPrivate({ type: 'entry-appended', placed }),
    onError: (error) => log.error({ err: error }, 'directory entry not written'),
  });
  const metrics = new Metrics({ state: () => dispatcher.state, sockets, nodes, directory, now, store });
  store.onCommit = (seconds) => metrics.committed(seconds);
  const post = dispatcher.post.bind(dispatcher);
  const checker = new SignatureChecker();
  const app = await createServer(
    {
      version: options.version,
      dispatcher,
      streams,
      accounts: await Accounts.open(store),
      store,
      tokenizers,
      metrics,
      log,
      now,
      guestRequests: new TokenBuckets(GUEST_REQUESTS_PER_SECOND, GUEST_REQUESTS_BURST),
      adminToken: loadAdminToken(join(config.dataFolder, 'admin-token')),
      private: { streams: sealed, directory, policy },
    },
    {
      siteFolder: config.siteFolder,
      trustProxy: config.trustProxy,
      connectionsMax: config.connectionsMax,
      connectionsPerNetwork: config.connectionsPerNetwork,
      ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
    },
  );
  const journal = await store.checkpoints();
  for (const jobId of journal.unreadable) log.error({ jobId }, 'checkpoint unreadable');
  const onPrivate = privateHandler({
    post: postPrivate,
    nodes,
    streams: sealed,
    directory,
    evidence: policy && new EvidenceChecker(policy, signer.publicKey, checker, now),
    signer,
    checker,
    store,
    metrics,
    log,
  });
  const handlers = effectHandlers({
    post,
    sockets,
    streams,
    signer,
    checker,
    store,
    metrics,
    log,
    onPrivate,
  });
  dispatcher.start(options.wrapEffects?.(handlers) ?? handlers);
  post({ type: 'jobs-recovered', checkpoints: journal.checkpoints });
  postPrivate({ type: 'directory-recovered', ...recovered });
  sockets.attach(app.server);
  nodes.attach(app.server);
  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    // The timer and the database would keep the process alive.
    dispatcher.stop();
    await store.close();
    unlock();
    throw error;
  }
  metrics.listening(performance.now() / 1000);
  return {
    url: urlOf(app, config.host),
    publicKey: signer.publicKey,
    broken,
    close: () =>
      stop(
        { app, dispatcher, sockets, nodes, directory, streams, store },
        options.drainMs ?? DRAIN_MS,
      ).finally(unlock),
  };
}

async function stop(
  parts: {
    readonly app: FastifyInstance;
    readonly dispatcher: Dispatcher;
    readonly sockets: ContributorSockets;
    readonly nodes: NodeSockets;
    readonly directory: Directory;
    readonly streams: JobStreams;
    readonly store: Store;
  },
  drainMs: number,
): Promise<void> {
  const { app, dispatcher, sockets, nodes, directory, streams, store } = parts;
  dispatcher.post({ type: 'drain' });
  await jobsEnded(dispatcher, drainMs);
  for (const jobId of dispatcher.state.jobs.keys())
    dispatcher.post({ type: 'job-abandoned', jobId, code: 'shutting_down' });
  for (const jobId of dispatcher.state.private.jobs.keys())
    dispatcher.post({
      type: 'private',
      event: { type: 'sealed-job-abandoned', jobId, code: 'shutting_down' },
    });
  await jobsEnded(dispatcher, SETTLE_MS);
  sockets.closeAll();
  nodes.closeAll();
  app.server.closeAllConnections();
  await app.close();
  dispatcher.stop();
  streams.close();
  directory.close();
  await store.close();
}

async function jobsEnded(dispatcher: Dispatcher, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  const open = () => dispatcher.state.jobs.size + dispatcher.state.private.jobs.size;
  while (open() > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
}

const coreConfig = (config: CoordinatorConfig): Partial<CoreConfig> => ({
  networkFeeBasisPoints: config.feeBasisPoints,
  guests:
    config.guestFundNano === 0n || defaultCoreConfig.guests === null
      ? null
      : {
          ...defaultCoreConfig.guests,
          totalDailyNano: config.guestDailyNano,
          perNetworkDailyNano: config.guestNetworkDailyNano,
        },
});

/** Sets money aside for guests once; a restart adds nothing. */
async function fundGuests(store: Store, amountNano: bigint): Promise<void> {
  if (amountNano === 0n || (await store.balances()).has(ledgerAccounts.guests)) return;
  const transaction = developmentCredit(ledgerAccounts.guests, amountNano, 'guests:first', Date.now());
  await store.write({ kind: 'transaction', transaction });
}

const modelInfo = (model: (typeof catalogue)[number]): ModelInfo => ({
  id: model.id,
  contextTokens: model.contextTokens,
  price: priceFromWire(model.price),
  builds: new Map(model.builds.map((build) => [build.id, build.engine])),
});

/** Throws `ConfigError`. */
function readPolicy(path: string): Policy {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`--node-policy can't be read: ${(error as Error).message}`);
  }
  const policy = parsePolicy(text);
  if (policy.ok) return policy.value;
  throw new ConfigError(`--node-policy ${path}: ${policy.failure.message} ${policy.failure.remedy}`);
}

function loadAdminToken(path: string): string {
  if (!existsSync(path))
    writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
  chmodSync(path, 0o600);
  return readFileSync(path, 'utf8').trim();
}

function urlOf(app: FastifyInstance, host: string): string {
  const { port } = app.server.address() as AddressInfo;
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}
