/**
 * Contributors' sessions: a connection proves a key, announces models and serves. A frame that is illegal in the phase it
 * arrives in ends the connection with a code and a remedy. A lost connection may come back to its job within the grace.
 */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { closeCodes, PROTOCOL } from '@tussah/protocol/contributor-frames';
import { priceFromWire } from '@tussah/protocol/money';
import type { Event, HelloFrame } from './events.ts';
import { takes } from './job-events.ts';
import { onJobFrame } from './job-frames.ts';
import { isSplitAs } from './bids.ts';
import { employ, loseLease, schedule } from './jobs.ts';
import { ledgerAccounts } from './ledger.ts';
import { limits } from '@tussah/protocol/limits';
import { withdraw } from './pools.ts';
import type { Refusal } from './refusal.ts';
import type { Connection, ConnectionPhase, Contributor, HeldBuild } from './state.ts';
import { lookAgain, note, type Turn } from './turn.ts';

/** Frames that may arrive in each phase of a connection. */
export const legalFrames: Readonly<Record<ConnectionPhase, ReadonlySet<ContributorFrame['type']>>> = {
  challenged: new Set(['hello']),
  proving: new Set(),
  open: new Set([
    'model-ready',
    'job-accept',
    'job-decline',
    'text-delta',
    'job-done',
    'job-failed',
    'status',
    'pong',
  ]),
};

const refusals = {
  illegal: (detail: string): Refusal => ({
    closeCode: closeCodes.illegalFrame,
    code: 'illegal_frame',
    message: `This frame breaks the protocol: ${detail}.`,
    remedy: 'Update the contributor to the version that this coordinator serves.',
    retry: true,
  }),
  unproven: {
    closeCode: closeCodes.unauthorized,
    code: 'key_not_proven',
    message: 'The signature does not prove the key for this challenge.',
    remedy: 'Sign the challenge of this connection with the key that the hello names.',
    retry: false,
  },
  replaced: {
    closeCode: closeCodes.replaced,
    code: 'session_replaced',
    message: 'The same key has connected again from elsewhere.',
    remedy: 'Run one contributor for each key.',
    retry: false,
  },
  silent: {
    closeCode: closeCodes.timeout,
    code: 'timeout',
    message: 'The contributor was silent for too long.',
    remedy: 'Reconnect; answer pings and the challenge in time.',
    retry: true,
  },
  askTooHigh: {
    closeCode: closeCodes.illegalFrame,
    code: 'ask_too_high',
    message: 'The price asked is above the list price of this model.',
    remedy: 'Ask at most the price that /v1/models lists.',
    retry: false,
  },
  unknownBuild: {
    closeCode: closeCodes.illegalFrame,
    code: 'unknown_build',
    message: 'This coordinator does not list that build of that model.',
    remedy:
      'Announce a build of the catalogue; update the contributor if it is older or newer than the coordinator.',
    retry: false,
  },
} as const;

export function open(turn: Turn, event: Extract<Event, { type: 'connection-opened' }>): void {
  const connection: Connection = {
    id: event.connectionId,
    phase: 'challenged',
    nonce: event.nonce,
    openedAtMs: turn.atMs,
    lastHeardMs: turn.atMs,
    lastPingMs: turn.atMs,
    pings: 0,
    publicKey: null,
  };
  turn.state.connections.set(connection.id, connection);
  turn.effects.push({
    type: 'send',
    connectionId: connection.id,
    frame: {
      type: 'challenge',
      protocol: PROTOCOL,
      coordinator: turn.state.coordinator,
      nonce: connection.nonce,
    },
  });
  lookAgain(turn, 'connection', connection.id, turn.atMs + turn.state.config.helloTimeoutMs);
}

export function receive(turn: Turn, connectionId: string, frame: ContributorFrame): void {
  const connection = turn.state.connections.get(connectionId);
  if (connection === undefined) return;
  connection.lastHeardMs = turn.atMs;
  if (!legalFrames[connection.phase].has(frame.type)) {
    refuse(turn, connection, refusals.illegal(`${frame.type} while ${connection.phase}`));
    return;
  }
  if (frame.type === 'hello') {
    connection.phase = 'proving';
    turn.effects.push({ type: 'check-hello', connectionId, nonce: connection.nonce, hello: frame });
    connection.nonce = '';
    return;
  }
  const contributor = turn.state.contributors.get(connection.publicKey ?? '');
  if (contributor === undefined) throw new Error('an open connection without a contributor');
  const breach = dispatch(turn, connection, contributor, frame);
  if (breach !== undefined) refuse(turn, connection, refusals.illegal(breach));
}

function dispatch(
  turn: Turn,
  connection: Connection,
  contributor: Contributor,
  frame: Exclude<ContributorFrame, HelloFrame>,
): string | undefined {
  switch (frame.type) {
    case 'model-ready':
      return announce(turn, connection, contributor, frame);
    case 'job-accept':
    case 'job-decline':
    case 'text-delta':
    case 'job-done':
    case 'job-failed':
      return onJobFrame(turn, contributor, frame);
    case 'status':
      contributor.state = frame.state;
      withdraw(turn, contributor);
      employ(turn, contributor);
      return undefined;
    case 'pong':
      return frame.n > connection.pings ? 'a pong to no ping' : undefined;
    default:
      return frame satisfies never;
  }
}

/** The key was proven, or not. A key that is known goes on with its session; the older connection closes. */
export function prove(turn: Turn, event: Extract<Event, { type: 'hello-checked' }>): void {
  const { state } = turn;
  const { hello } = event;
  const connection = state.connections.get(event.connectionId);
  if (connection === undefined) return;
  if (!event.valid) {
    refuse(turn, connection, refusals.unproven);
    return;
  }
  const known = state.contributors.get(hello.publicKey);
  const resumed = known !== undefined && known.sessionId === hello.resume;
  const older = state.connections.get(known?.connectionId ?? '');
  if (known !== undefined && !resumed) leave(turn, known, 'replaced by a new session');
  if (older !== undefined) {
    older.publicKey = null;
    refuse(turn, older, refusals.replaced);
  }
  const contributor = resumed && known !== undefined ? known : newContributor(turn, event);
  state.contributors.set(hello.publicKey, contributor);
  contributor.connectionId = connection.id;
  contributor.wallet = hello.wallet;
  connection.phase = 'open';
  connection.publicKey = hello.publicKey;
  welcome(turn, connection, contributor, resumed);
}

const newContributor = (turn: Turn, event: Extract<Event, { type: 'hello-checked' }>): Contributor => ({
  // First what matching looks at, close together.
  lastServed: turn.state.served++,
  firstSeat: -1,
  kind: -1,
  classed: false,
  jobId: null,
  connectionId: null,
  state: 'ready',
  restUntilMs: 0,
  builds: [],
  ttftMs: null,
  record: { ...event.record },
  publicKey: event.hello.publicKey,
  sessionId: event.sessionId,
  wallet: event.hello.wallet,
  detachedAtMs: 0,
  endedJobs: [],
  earnedNano: turn.state.balances.get(ledgerAccounts.contributor(event.hello.publicKey)) ?? 0n,
  failuresInRow: 0,
});

function welcome(turn: Turn, connection: Connection, contributor: Contributor, resumed: boolean): void {
  const job = turn.state.jobs.get(contributor.jobId ?? '');
  const running = job?.phase === 'running' ? job : undefined;
  turn.effects.push({
    type: 'send',
    connectionId: connection.id,
    frame: {
      type: 'welcome',
      sessionId: contributor.sessionId,
      heartbeatMs: turn.state.config.heartbeatMs,
      earnedNano: contributor.earnedNano.toString(),
      networkFeeBasisPoints: turn.state.config.networkFeeBasisPoints,
      resumed: running === undefined ? [] : [{ jobId: running.request.id, position: running.ids.length }],
    },
  });
  note(turn, { kind: 'contributor-joined', publicKey: contributor.publicKey, resumed });
  lookAgain(turn, 'connection', connection.id, turn.atMs + turn.state.config.heartbeatMs);
  // An offer that was lost with the connection is made again.
  if (job?.phase === 'offered') loseLease(turn, job, 'lost', 'the connection broke during the offer', false);
  else employ(turn, contributor);
}

function announce(
  turn: Turn,
  connection: Connection,
  contributor: Contributor,
  frame: Extract<ContributorFrame, { type: 'model-ready' }>,
): string | undefined {
  const pool = turn.state.pools.get(frame.model);
  if (pool?.model.builds.get(frame.build) !== frame.profile.engine) {
    refuse(turn, connection, refusals.unknownBuild);
    return undefined;
  }
  const list = pool.model.price;
  const ask = frame.ask === null ? list : priceFromWire(frame.ask);
  if (
    ask.promptNanoPerMillion > list.promptNanoPerMillion ||
    ask.completionNanoPerMillion > list.completionNanoPerMillion
  ) {
    refuse(turn, connection, refusals.askTooHigh);
    return undefined;
  }
  const { builds } = contributor;
  const known = builds.findIndex(({ build }) => build === frame.build);
  const at = known < 0 ? builds.length : known;
  if (at >= limits.buildsPerContributor) return 'too many builds';
  const before = builds[at];
  before?.pool.idle.withdraw(before.seat);
  contributor.classed = false;
  contributor.kind = -1;
  const seat = before?.seat ?? (contributor.firstSeat = turn.state.seats.add(contributor.firstSeat));
  const build: HeldBuild = {
    holder: contributor,
    seat,
    askNano: Number(ask.promptNanoPerMillion + ask.completionNanoPerMillion),
    pool,
    listSplit: isSplitAs(list, ask),
    build: frame.build,
    // The catalogue's own string: the frame's would be kept once for each contributor.
    model: pool.model.id,
    profile: frame.profile,
    claimedTokensPerSecond: frame.tokensPerSecond,
    ask,
  };
  builds[at] = build;
  turn.state.seats.assign(seat, build, build.askNano);
  pool.holders.add(contributor);
  note(turn, { kind: 'model-ready', publicKey: contributor.publicKey, build: frame.build });
  employ(turn, contributor);
  return undefined;
}

/** Ends a connection from our side; its contributor leaves for good, and its job goes elsewhere at once. */
export function refuse(turn: Turn, connection: Connection, refusal: Refusal): void {
  const { code, message, remedy, retry } = refusal;
  turn.effects.push(
    { type: 'send', connectionId: connection.id, frame: { type: 'refused', code, message, remedy, retry } },
    { type: 'close', connectionId: connection.id, refusal },
  );
  turn.state.connections.delete(connection.id);
  turn.state.deadlines.forget('connection', connection.id);
  const contributor = turn.state.contributors.get(connection.publicKey ?? '');
  if (contributor !== undefined) leave(turn, contributor, code);
}

/** The other side closed, or the network did: the contributor may come back to its job. */
export function close(turn: Turn, connectionId: string): void {
  const connection = turn.state.connections.get(connectionId);
  if (connection === undefined) return;
  turn.state.connections.delete(connectionId);
  turn.state.deadlines.forget('connection', connectionId);
  const contributor = turn.state.contributors.get(connection.publicKey ?? '');
  if (contributor?.connectionId !== connectionId) return;
  contributor.connectionId = null;
  contributor.detachedAtMs = turn.atMs;
  withdraw(turn, contributor);
  const job = turn.state.jobs.get(contributor.jobId ?? '');
  if (job !== undefined) schedule(turn, job);
  lookAgain(turn, 'contributor', contributor.publicKey, turn.atMs + turn.state.config.resumeGraceMs);
}

/** Forgets a contributor's session; its job, if any, goes elsewhere. */
function leave(turn: Turn, contributor: Contributor, reason: string): void {
  contributor.connectionId = null;
  contributor.detachedAtMs = turn.atMs;
  withdraw(turn, contributor);
  const job = turn.state.jobs.get(contributor.jobId ?? '');
  if (takes(job, 'contributor-left')) loseLease(turn, job, 'lost', reason);
  turn.state.contributors.delete(contributor.publicKey);
  turn.state.deadlines.forget('contributor', contributor.publicKey);
  for (const build of contributor.builds) {
    const pool = turn.state.pools.get(build.model);
    pool?.holders.delete(contributor);
    pool?.idle.withdraw(build.seat);
    turn.state.seats.remove(build.seat);
  }
  contributor.firstSeat = -1;
  note(turn, { kind: 'contributor-left', publicKey: contributor.publicKey, reason });
}

/** When a connection from which nothing comes is given up. */
const silentAtMs = ({ state: { config } }: Turn, { phase, lastHeardMs, openedAtMs }: Connection): number =>
  phase === 'open' ? lastHeardMs + config.heartbeatTimeoutMs : openedAtMs + config.helloTimeoutMs;

/** After a leap of the clock many fall silent at once: none of them may be offered what another has just lost. */
export function withdrawSilent(turn: Turn, connectionId: string): void {
  const connection = turn.state.connections.get(connectionId);
  const contributor = turn.state.contributors.get(connection?.publicKey ?? '');
  if (connection === undefined || contributor === undefined) return;
  if (turn.atMs >= silentAtMs(turn, connection)) withdraw(turn, contributor);
}

/** A connection's time has come: too slow a hello, a ping that is due, or a silence that lasted. */
export function onConnectionDeadline(turn: Turn, connectionId: string): void {
  const connection = turn.state.connections.get(connectionId);
  if (connection === undefined) return;
  const { config } = turn.state;
  if (turn.atMs >= silentAtMs(turn, connection)) {
    refuse(turn, connection, refusals.silent);
    return;
  }
  if (connection.phase === 'open' && turn.atMs >= connection.lastPingMs + config.heartbeatMs) {
    connection.lastPingMs = turn.atMs;
    connection.pings += 1;
    turn.effects.push({ type: 'send', connectionId, frame: { type: 'ping', n: connection.pings } });
  }
  const next =
    connection.phase === 'open' ? connection.lastPingMs + config.heartbeatMs : silentAtMs(turn, connection);
  lookAgain(turn, 'connection', connectionId, Math.max(next, turn.atMs + 1));
}

/** A contributor's time has come: it is back from its rest, or did not come back from a lost connection. */
export function onContributorDeadline(turn: Turn, publicKey: string): void {
  const contributor = turn.state.contributors.get(publicKey);
  if (contributor === undefined) return;
  const { resumeGraceMs } = turn.state.config;
  if (contributor.connectionId !== null) employ(turn, contributor);
  else if (turn.atMs >= contributor.detachedAtMs + resumeGraceMs) leave(turn, contributor, 'connection lost');
  else lookAgain(turn, 'contributor', publicKey, contributor.detachedAtMs + resumeGraceMs);
}

/** The coordinator stops: everybody finishes what runs. */
export function drainAll(turn: Turn, reconnectAfterMs: number): void {
  for (const connection of turn.state.connections.values())
    if (connection.phase === 'open')
      turn.effects.push({
        type: 'send',
        connectionId: connection.id,
        frame: { type: 'drain', reason: 'the coordinator restarts', reconnectAfterMs },
      });
}
