/** Performs the core's effects: sockets, signatures, the books, and the clients' streams. */
import { domains } from '@tussah/protocol/signatures';
import { helloStatement } from '@tussah/protocol/contributor-frames';
import { newId } from '@tussah/protocol/ids';
import { segmentStatement, type Receipt } from '@tussah/protocol/receipts';
import type { Logger } from 'pino';
import type { Event, HelloFrame, Note } from '../core/events.ts';
import type { ContributorStats, SettlementDraft } from '../core/state.ts';
import type { ContributorSockets } from './contributor-sockets.ts';
import type { EffectHandlers } from './dispatcher.ts';
import type { JobStreams } from './job-streams.ts';
import type { Metrics } from './metrics.ts';
import type { SignatureChecker, Signer } from './signer.ts';
import type { Settlement, Store } from './store/port.ts';

export interface EffectPorts {
  readonly post: (event: Event) => void;
  readonly sockets: ContributorSockets;
  readonly streams: JobStreams;
  readonly signer: Signer;
  readonly checker: SignatureChecker;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export function effectHandlers(ports: EffectPorts): EffectHandlers {
  const { post, sockets, streams, checker } = ports;
  return {
    send: ({ connectionId, frame }) => sockets.send(connectionId, frame),
    close: ({ connectionId, refusal }) => sockets.close(connectionId, refusal),
    'check-hello': ({ connectionId, nonce, hello }) => void checkHello(ports, connectionId, nonce, hello),
    'check-segment': ({ jobId, publicKey, facts, signature }) => {
      const valid = checker.check(publicKey, domains.segment, segmentStatement(facts), signature);
      post({ type: 'segment-checked', jobId, publicKey, valid });
    },
    deliver: ({ jobId, text, logprobs }) => streams.deliver(jobId, { text, logprobs }),
    settle: ({ draft }) => void settle(ports, draft),
    complete: ({ jobId, answer }) => streams.end(jobId, { kind: 'complete', answer }),
    fail: ({ jobId, failure, receipt }) => streams.end(jobId, { kind: 'failed', failure, receipt }),
    note: ({ note }) => {
      ports.metrics.count(note);
      logNote(ports.log, note);
    },
  };
}

async function checkHello(
  ports: EffectPorts,
  connectionId: string,
  nonce: string,
  hello: HelloFrame,
): Promise<void> {
  const statement = helloStatement(ports.signer.publicKey, nonce, hello.publicKey, hello.wallet);
  const valid = ports.checker.check(hello.publicKey, domains.hello, statement, hello.signature);
  let record: ContributorStats = { jobsDone: 0, jobsFailed: 0, tokens: 0, tokensPerSecond: null };
  try {
    const known = valid ? await ports.store.contributor(hello.publicKey) : undefined;
    if (known !== undefined) record = known;
  } catch (error) {
    // Its history only ranks it; without it, it is a beginner.
    ports.log.error({ err: error, publicKey: hello.publicKey }, 'contributor record unreadable');
  }
  const { jobsDone, jobsFailed, tokens, tokensPerSecond } = record;
  ports.post({
    type: 'hello-checked',
    connectionId,
    hello,
    valid,
    record: { jobsDone, jobsFailed, tokens, tokensPerSecond },
    sessionId: newId('sess'),
  });
}

async function settle(ports: EffectPorts, draft: SettlementDraft): Promise<void> {
  const { jobId } = draft;
  try {
    const receipt: Receipt = {
      ...draft.receipt,
      signature: ports.signer.sign(domains.receipt, draft.receipt),
    };
    const settlement: Settlement = {
      receipt,
      transaction: draft.transaction,
      contributors: draft.records.map(({ publicKey, wallet, stats }) => ({ publicKey, wallet, ...stats })),
      idempotency:
        draft.idempotency === null
          ? null
          : { ...draft.idempotency, jobId, receiptId: receipt.id, atMs: receipt.createdAtMs },
    };
    await ports.store.write({ kind: 'settlement', settlement });
    ports.post({ type: 'settled', jobId, receipt });
  } catch (error) {
    ports.log.error({ err: error, jobId }, 'settlement failed');
    ports.post({ type: 'settlement-failed', jobId });
  }
}

function logNote(log: Logger, { kind, ...facts }: Note): void {
  const plain = Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [key, typeof value === 'bigint' ? value.toString() : value]),
  );
  if (kind === 'job-moved') log.warn(plain, kind);
  // A job has one line at its end; its beginning is for who looks closely.
  else if (kind === 'job-started' || kind === 'job-queued') log.debug(plain, kind);
  else log.info(plain, kind);
}
