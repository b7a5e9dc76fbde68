/** Performs the effects of the private tier's core: nodes' sockets, evidence, the directory, the books and the clients' streams. */
import { helloStatement } from '@tussah/protocol/contributor-frames';
import { errorBody } from '@tussah/protocol/errors';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { SealedEvent, Skip } from '@tussah/protocol/private/sealed-events';
import { domains } from '@tussah/protocol/signatures';
import type { Logger } from 'pino';
import type { ContributorStats } from '../../core/contributor-stats.ts';
import type { PrivateEffect, PrivateEvent } from '../../core/private/events.ts';
import type { SealedSettlementDraft, SkipDraft } from '../../core/private/state.ts';
import type { Metrics } from '../metrics.ts';
import type { SignatureChecker, Signer } from '../signer.ts';
import type { Store } from '../store/port.ts';
import type { Directory } from './directory.ts';
import type { EvidenceChecker } from './evidence.ts';
import { newNonce, type NodeSockets } from './node-sockets.ts';
import type { SealedStreams } from './sealed-streams.ts';

export interface PrivatePorts {
  readonly post: (event: PrivateEvent) => void;
  readonly nodes: NodeSockets;
  readonly streams: SealedStreams;
  readonly directory: Directory;
  /** Absent where there is no policy: then no node ever comes so far. */
  readonly evidence: EvidenceChecker | undefined;
  readonly signer: Signer;
  readonly checker: SignatureChecker;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly log: Logger;
}

type Effect<Type extends PrivateEffect['type']> = Extract<PrivateEffect, { type: Type }>;

export function privateHandler(ports: PrivatePorts): (effect: PrivateEffect) => void {
  const { post, nodes, streams, directory, checker } = ports;
  /** Accepted a moment ago, and not yet entered. */
  let accepted: { readonly name: string; readonly text: string } | undefined;
  const checkBundle = async (effect: Effect<'check-bundle'>): Promise<void> => {
    const { connectionId, offer, signature } = effect;
    const checked = nodes.mayAttest(connectionId)
      ? ((await ports.evidence?.check(effect, () => nodes.has(connectionId))) ?? directoryFull)
      : tooMany;
    const fits = checked.ok && directory.hasRoomFor(effect.bundle);
    accepted = fits ? { name: offer.bundle, text: effect.bundle } : undefined;
    if (fits) nodes.accepted(connectionId, offer.concurrency);
    post({
      type: 'bundle-checked',
      connectionId,
      offer,
      signature,
      checked: checked.ok && !fits ? directoryFull : checked,
    });
    accepted = undefined;
  };
  return (effect) => {
    switch (effect.type) {
      case 'send-to-node':
        return nodes.send(effect.connectionId, effect.frame);
      case 'close-node':
        ports.metrics.refusedPeer(effect.refusal.code);
        return nodes.close(effect.connectionId, effect.refusal);
      case 'check-node-hello':
        return void checkHello(ports, effect);
      case 'check-bundle':
        return void checkBundle(effect);
      case 'append-entry':
        return directory.append(
          effect.entry,
          accepted?.name === effect.entry.bundle ? accepted.text : undefined,
        );
      case 'check-refusal': {
        const { jobId, receiptKey, signed } = effect;
        const valid = checker.check(receiptKey, domains.nodeRefusal, signed.refusal, signed.signature);
        return post({ type: 'refusal-checked', jobId, signed, valid });
      }
      case 'check-node-receipt': {
        const { jobId, receiptKey, signed } = effect;
        const valid = checker.check(receiptKey, domains.nodeReceipt, signed.receipt, signed.signature);
        return post({ type: 'node-receipt-checked', jobId, valid });
      }
      case 'assign': {
        const { jobId, candidate, responseNonce } = effect;
        const skipped = proofsOf(directory, effect.skipped);
        return streams.deliver(jobId, eventText({ type: 'assigned', candidate, responseNonce, skipped }));
      }
      case 'deliver-chunk':
        return streams.deliver(effect.jobId, chunkText(effect));
      case 'settle-sealed':
        return void settle(ports, effect.draft);
      case 'complete-sealed':
        return streams.end(effect.jobId, {
          kind: 'complete',
          event: eventText({ type: 'receipt', receipt: effect.receipt }),
        });
      case 'fail-sealed': {
        const skipped = proofsOf(directory, effect.skipped);
        const { error } = errorBody(effect.failure);
        return streams.end(effect.jobId, {
          kind: 'failed',
          failure: effect.failure,
          event: skipped.length === 0 ? null : eventText({ type: 'failed', error, skipped }),
        });
      }
      default:
        return effect satisfies never;
    }
  };
}

const directoryFull = {
  ok: false,
  failure: {
    code: 'directory_full',
    message: 'The directory holds as many bundles as it takes.',
    remedy: 'Try again later.',
  },
} as const;

const tooMany = {
  ok: false,
  failure: {
    code: 'too_many_attestations',
    message: 'Too many bundles came from this network address lately.',
    remedy: 'Try again later; connections that hold need none.',
  },
} as const;

const eventText = (event: SealedEvent): string => JSON.stringify(event);

/** The schema has let base64 through, which needs no escaping: what came is passed on as it is. */
const chunkText = ({ index, data, last }: Effect<'deliver-chunk'>): string =>
  `{"type":"chunk","index":${index},"data":"${data}","last":${last}}`;

/** Departures with a head that holds them. */
function proofsOf(directory: Directory, drafts: readonly SkipDraft[]): Skip[] {
  return drafts.map((draft) => {
    if (draft.kind === 'refused') return draft.signed;
    const head = directory.head();
    return { head, ...directory.prove(draft, head.size) };
  });
}

async function checkHello(
  ports: PrivatePorts,
  { connectionId, nonce, hello }: Effect<'check-node-hello'>,
): Promise<void> {
  const { publicKey, wallet, signature } = hello;
  const statement = helloStatement(ports.signer.publicKey, nonce, publicKey, wallet);
  const valid = ports.checker.check(publicKey, domains.nodeHello, statement, signature);
  let record: ContributorStats = { jobsDone: 0, jobsFailed: 0, tokens: 0, tokensPerSecond: null };
  try {
    const known = valid ? await ports.store.contributor(publicKey) : undefined;
    if (known !== undefined) {
      const { jobsDone, jobsFailed, tokens, tokensPerSecond } = known;
      record = { jobsDone, jobsFailed, tokens, tokensPerSecond };
    }
  } catch (error) {
    ports.log.error({ err: error, publicKey }, 'contributor record unreadable');
  }
  if (valid) ports.nodes.proven(connectionId);
  ports.post({ type: 'node-hello-checked', connectionId, hello, valid, record, epochNonce: newNonce() });
}

async function settle(ports: PrivatePorts, draft: SealedSettlementDraft): Promise<void> {
  const { jobId, record } = draft;
  try {
    const receipt: PrivateReceipt = {
      ...draft.receipt,
      signature: ports.signer.sign(domains.receipt, draft.receipt),
    };
    const { publicKey, wallet, stats } = record;
    await ports.store.write({
      kind: 'settlement',
      settlement: {
        receipt,
        transaction: draft.transaction,
        contributors: [{ publicKey, wallet, ...stats }],
        idempotency: null,
      },
    });
    ports.post({ type: 'sealed-job-settled', jobId, receipt });
  } catch (error) {
    ports.log.error({ err: error, jobId }, 'settlement failed');
    ports.post({ type: 'sealed-settlement-failed', jobId });
  }
}
