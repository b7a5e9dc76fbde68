/**
 * All jobs of the node: refuses, opens, runs, counts and signs them. Prompt and answer pass through this process's memory
 * and are in no log, error or file.
 */
import { openRequest } from '@tussah/client/sealing/open-request';
import { headerHashOf } from '@tussah/protocol/private/header';
import type { NodeFrame, SealedOffer } from '@tussah/protocol/private/node-frames';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { NodeRefusal, RefusalCode } from '@tussah/protocol/private/statements';
import { domains } from '@tussah/protocol/signatures';
import { newNonce, type EpochKeys, type KeyRing } from '../epoch/epoch-keys.ts';
import type { Goods } from '../epoch/make-epoch.ts';
import type { Log } from '../log.ts';
import type { Clock, Upstream } from '../ports.ts';
import { AnswerRun } from './answer-run.ts';
import { checkOffer } from './check-offer.ts';
import { SeenIds } from './seen-ids.ts';

export interface JobPorts {
  readonly goods: Goods;
  readonly keys: KeyRing;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Log;
  readonly send: (frame: NodeFrame) => void;
  /** How many are running now, whenever that changes. */
  readonly onCount: (running: number) => void;
}

interface Job {
  /** Aborted when nothing can be delivered any more. */
  readonly lost: AbortController;
  cancelled: boolean;
  run: AnswerRun | undefined;
}

/** The prompt is counted within this, so that the coordinator has its answer in time. */
const COUNT_MS = privateLimits.acceptTimeoutMs - 1_500;

export class Jobs {
  readonly #ports: JobPorts;
  readonly #seen: SeenIds;
  readonly #running = new Map<string, Job>();
  #contextTokens = 0;
  draining = false;

  /** A header is `expired` before its id may be forgotten. */
  constructor(ports: JobPorts, seen = new SeenIds(privateLimits.headerAheadMs)) {
    this.#ports = ports;
    this.#seen = seen;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Of the upstream, as it was last identified. */
  set contextTokens(tokens: number) {
    this.#contextTokens = tokens;
  }

  /** Resolves when the job has ended, or was refused. Never rejects but for a bug. */
  async offer(offer: SealedOffer): Promise<void> {
    const { header, candidate } = offer;
    const { goods, keys, upstream, clock } = this.#ports;
    const refusal = checkOffer(header, candidate, this.#seen, {
      ...goods,
      nowMs: clock.nowMs(),
      epochs: keys.opening(upstream.configDigest),
      running: this.#running,
      draining: this.draining,
    });
    const bundle = header.candidates[candidate] ?? '';
    const epoch = keys.get(bundle);
    if (refusal !== undefined || epoch === undefined)
      return this.#refuse(offer, epoch, refusal ?? 'key_rotated');
    const job: Job = { lost: new AbortController(), cancelled: false, run: undefined };
    this.#running.set(header.jobId, job);
    this.#count();
    const release = keys.hold(bundle);
    try {
      await this.#open(offer, epoch, job);
    } finally {
      release();
      this.#running.delete(header.jobId);
      this.#count();
    }
  }

  /** The client has gone: what was done is counted and signed. */
  cancel(jobId: string): void {
    const job = this.#running.get(jobId);
    if (job === undefined) return;
    job.cancelled = true;
    job.run?.cancel();
  }

  /** Nothing of it can be delivered any more. */
  dropAll(): void {
    for (const { lost } of this.#running.values()) lost.abort();
  }

  async #open(offer: SealedOffer, epoch: EpochKeys, job: Job): Promise<void> {
    const { header, candidate, wrap, body } = offer;
    const { goods, upstream, clock, log } = this.#ports;
    const { bundle, hpke } = epoch;
    const { signal } = job.lost;
    if (hpke === undefined) return this.#refuse(offer, epoch, 'key_rotated');
    const opened = await openRequest({ header, candidate, wrap, body, keys: hpke, bundle });
    if (!opened.ok) {
      // Anybody can make such, for nothing: they must not fill the memory.
      if (opened.failure.code === 'unopenable') this.#seen.forget(header.jobId);
      return this.#refuse(offer, epoch, opened.failure.code);
    }
    const { inner, headerHash, sealer } = opened.value;
    if (upstream.unsupported(inner) !== undefined) return this.#refuse(offer, epoch, 'unsupported');
    const countSignal = AbortSignal.any([signal, AbortSignal.timeout(COUNT_MS)]);
    const counted = await upstream.countPrompt(inner, countSignal);
    if (signal.aborted) return;
    if (!counted.ok) {
      log.warn('prompt-not-counted', { jobId: header.jobId, code: counted.failure.code });
      return this.#refuse(offer, epoch, 'busy');
    }
    const promptTokens = counted.value ?? 1;
    if (promptTokens > header.maxPromptTokens || promptTokens + header.maxTokens > this.#contextTokens)
      return this.#refuse(offer, epoch, 'too_long');
    const responseNonce = newNonce();
    // Frames of a lost connection do not go over the next one.
    const send = (frame: NodeFrame) => {
      if (!signal.aborted) this.#ports.send(frame);
    };
    const run = new AnswerRun({
      offer,
      inner,
      headerHash,
      epoch,
      goods,
      sealer: await sealer(responseNonce),
      promptTokens: counted.value,
      upstream,
      clock,
      log,
      send,
      signal,
    });
    if (signal.aborted) return;
    // Not as busy: the coordinator could have that said at will, to pass this node by.
    if (job.cancelled) return this.#refuse(offer, epoch, 'cancelled');
    job.run = run;
    send({ type: 'sealed-accept', jobId: header.jobId, responseNonce });
    log.info('job-accepted', { jobId: header.jobId, padding: header.padding, running: this.#running.size });
    await run.done();
  }

  async #refuse(
    { header, candidate }: SealedOffer,
    epoch: EpochKeys | undefined,
    code: RefusalCode,
  ): Promise<void> {
    const { clock, log, send } = this.#ports;
    const { jobId, candidates } = header;
    log.info('job-refused', { jobId, code });
    const refusal: NodeRefusal = {
      jobId,
      headerHash: headerHashOf(header),
      bundle: candidates[candidate] ?? '',
      code,
      atMs: clock.nowMs(),
    };
    const signature = await epoch?.signature(domains.nodeRefusal, refusal);
    // Without the key of the bundle that was meant, nobody would believe a refusal.
    if (signature === undefined) return;
    send({ type: 'sealed-refuse', refusal, signature });
  }

  #count(): void {
    this.#ports.onCount(this.#running.size);
  }
}
