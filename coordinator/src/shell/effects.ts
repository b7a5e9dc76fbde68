/** Performs the core's effects: sockets, signatures, the books, and the clients' streams. */
import { domains } from '@tussah/protocol/signatures';
import { helloStatement } from '@tussah/protocol/contributor-frames';
import { newId } from '@tussah/protocol/ids';
import { segmentStatement, type Receipt } from '@tussah/protocol/receipts';
import type { Logger } from 'pino';
import type { Event, HelloFrame } from '../core/events.ts';
import type { ContributorStats } from '../core/contributor-stats.ts';
import type { PrivateEffect } from '../core/private/events.ts';
import type { SettlementDraft } from '../core/state.ts';
import type { ContributorSockets } from './contributor-sockets.ts';
import type { EffectHandlers } from './dispatcher.ts';
import type { JobStreams } from './job-streams.ts';
import { logNote } from './log-notes.ts';
import type { Metrics } from './metrics.ts';
import type { SignatureChecker, Signer } from './signer.ts';
import type { Settlement, Store, StoreWrite } from './store/port.ts';

export interface EffectPorts {
  readonly post: (event: Event) => void;
  readonly sockets: ContributorSockets;
  readonly streams: JobStreams;
  readonly signer: Signer;
  readonly checker: SignatureChecker;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly onPrivate: (effect: PrivateEffect) => void;
}

export function effectHandlers(ports: EffectPorts): EffectHandlers {
  const { post, sockets, streams, checker } = ports;
  return {
    send: ({ connectionId, frame }) => sockets.send(connectionId, frame),
    close: ({ connectionId, refusal }) => {
      ports.metrics.refusedPeer(refusal.code);
      sockets.close(connectionId, refusal);
    },
    'check-hello': ({ connectionId, nonce, hello }) => void checkHello(ports, connectionId, nonce, hello),
    'check-segment': ({ jobId, publicKey, facts, signature }) => {
      const valid = checker.check(publicKey, domains.segment, segmentStatement(facts), signature);
      post({ type: 'segment-checked', jobId, publicKey, valid });
    },
    deliver: (effect) => streams.deliver(effect.jobId, effect),
    checkpoint: ({ checkpoint, awaited }) => {
      const jobId = checkpoint.request.id;
      const write = () => writeCheckpoint(ports, jobId, { kind: 'checkpoint', checkpoint });
      if (awaited) streams.hold(jobId, write);
      // Only what the client has got may be charged after a crash; the next checkpoint comes soon.
      else if (streams.hasSent(jobId)) void write();
    },
    'forget-checkpoint': ({ jobId }) =>
      void writeCheckpoint(ports, jobId, { kind: 'forget-checkpoint', jobId }),
    'resume-refused': ({ jobId, failure }) => streams.end(jobId, { kind: 'failed', failure, receipt: null }),
    settle: ({ draft }) => void settle(ports, draft),
    complete: ({ jobId, answer }) => streams.end(jobId, { kind: 'complete', answer }),
    fail: ({ jobId, failure, receipt }) => streams.end(jobId, { kind: 'failed', failure, receipt }),
    private: ({ effect }) => ports.onPrivate(effect),
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
    ports.metrics.receipt(receipt);
    ports.post({ type: 'settled', jobId, receipt });
  } catch (error) {
    ports.log.error({ err: error, jobId }, 'settlement failed');
    ports.post({ type: 'settlement-failed', jobId });
  }
}

/** Whether it is durable. One that nothing waits for may cost somebody a second's work, which is no reason to end the job. */
async function writeCheckpoint(ports: EffectPorts, jobId: string, write: StoreWrite): Promise<boolean> {
  try {
    await ports.store.write(write);
    return true;
  } catch (error) {
    ports.log.error({ err: error, jobId }, 'checkpoint failed');
    ports.metrics.count({ kind: 'checkpoint-failed', jobId });
    return false;
  }
}
