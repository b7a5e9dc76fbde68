/** One accepted job: the upstream's text in, sealed chunks out at their time, and the signed receipt at the end. */
import type { ResponseSealer, SealedChunk } from '@tussah/client/sealing/response';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import type { NodeFrame, SealedOffer } from '@tussah/protocol/private/node-frames';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { NodeReceipt } from '@tussah/protocol/private/statements';
import { domains } from '@tussah/protocol/signatures';
import type { EpochKeys } from '../epoch/epoch-keys.ts';
import type { Goods } from '../epoch/make-epoch.ts';
import type { Log } from '../log.ts';
import type { Clock, Upstream, UpstreamEnd } from '../ports.ts';
import { beatOf, isOver, startPacing, stepPacing, type Pacing, type PacingEvent } from './pacing.ts';

export interface RunParts {
  readonly offer: SealedOffer;
  readonly inner: InnerRequest;
  readonly headerHash: string;
  readonly epoch: EpochKeys;
  readonly goods: Goods;
  readonly sealer: ResponseSealer;
  /** Counted beforehand, or null. */
  readonly promptTokens: number | null;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Log;
  readonly send: (frame: NodeFrame) => void;
  /** Aborted when nothing can be delivered any more: no receipt then. */
  readonly signal: AbortSignal;
}

export class AnswerRun {
  readonly #parts: RunParts;
  #pacing: Pacing;
  #outcome: NodeReceipt['outcome'] = 'complete';
  #counts: { promptTokens: number; completionTokens: number };
  /** Counted, but waiting for the time of their chunk. */
  #waitingTokens = 0;
  #stopBeat: () => void = () => undefined;
  /** Chunks are sealed and sent one after the other. */
  #sending: Promise<void> = Promise.resolve();
  readonly #upstreamStop = new AbortController();
  readonly #left = Promise.withResolvers<void>();

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#pacing = startPacing(parts.offer.header.padding);
    this.#counts = { promptTokens: this.#bounded(parts.promptTokens ?? 0), completionTokens: 0 };
  }

  /** The client has gone. */
  cancel(): void {
    if (isOver(this.#pacing) || this.#outcome === 'cancelled') return;
    this.#outcome = 'cancelled';
    const { completionTokens } = this.#counts;
    this.#counts.completionTokens = Math.max(0, completionTokens - this.#waitingTokens);
    this.#upstreamStop.abort();
    this.#left.resolve();
  }

  /** Runs it; resolves when its receipt has been sent. */
  async done(): Promise<void> {
    const { upstream, inner, clock, signal } = this.#parts;
    const stop = () => this.#upstreamStop.abort();
    const lost = () => {
      stop();
      this.#left.resolve();
    };
    signal.addEventListener('abort', lost, { once: true });
    const stopClock = clock.after(privateLimits.jobMaxMs, stop);
    try {
      const answering = upstream
        .answer(inner, (text) => this.#onText(text), this.#upstreamStop.signal)
        .then((end) => this.#onEnd(end));
      await this.#left.promise;
      stop();
      await answering;
      await this.#sending;
    } finally {
      this.#stopBeat();
      stopClock();
      signal.removeEventListener('abort', lost);
    }
    if (!signal.aborted) await this.#sign();
  }

  #onText(text: string): void {
    if (text === '' || !this.#isOpen()) return;
    this.#counts.completionTokens += 1;
    this.#waitingTokens += 1;
    this.#step({ type: 'text', text });
  }

  #onEnd(end: UpstreamEnd): void {
    if (!this.#isOpen()) return;
    if (end.how === 'complete') {
      const { finishReason } = end;
      const promptTokens = this.#bounded(end.promptTokens ?? this.#counts.promptTokens);
      const completionTokens = Math.min(end.completionTokens, this.#parts.offer.header.maxTokens);
      this.#counts = { promptTokens, completionTokens };
      return this.#step({ type: 'end', end: { end: { finishReason, promptTokens, completionTokens } } });
    }
    // Aborted though the client is still there: it took too long.
    this.#outcome = 'failed';
    const code = end.how === 'failed' ? end.code : 'upstream_failed';
    this.#step({ type: 'end', end: { failed: { code } } });
  }

  #isOpen(): boolean {
    return this.#outcome !== 'cancelled' && !this.#pacing.ended && !this.#parts.signal.aborted;
  }

  /** More than the header allows is never charged. */
  #bounded(promptTokens: number): number {
    return Math.min(promptTokens, this.#parts.offer.header.maxPromptTokens);
  }

  #step(event: PacingEvent): void {
    const { clock } = this.#parts;
    this.#stopBeat();
    const { pacing, departures } = stepPacing(this.#pacing, event, clock.nowMs());
    this.#pacing = pacing;
    if (pacing.waiting.length === 0) this.#waitingTokens = 0;
    for (const { payload, plaintextBytes, last } of departures) {
      const sealed = this.#parts.sealer.seal(payload, plaintextBytes, last);
      this.#sending = this.#deliver(sealed, last, this.#sending);
    }
    if (isOver(pacing)) return this.#left.resolve();
    const beatMs = beatOf(pacing);
    if (beatMs === null) return;
    const delayMs = Math.max(0, beatMs - clock.nowMs());
    this.#stopBeat = clock.after(delayMs, () => {
      if (this.#outcome !== 'cancelled' && !this.#parts.signal.aborted) this.#step({ type: 'time' });
    });
  }

  /** After all chunks before it. */
  async #deliver(sealed: Promise<SealedChunk>, last: boolean, before: Promise<void>): Promise<void> {
    const [{ index, data }] = await Promise.all([sealed, before]);
    const { jobId } = this.#parts.offer.header;
    this.#parts.send({ type: 'sealed-delta', jobId, index, data, last });
  }

  async #sign(): Promise<void> {
    const { offer, headerHash, epoch, goods, sealer, clock, log, send } = this.#parts;
    const { jobId, maxTokens } = offer.header;
    const receipt: NodeReceipt = {
      version: 1,
      jobId,
      headerHash,
      bundle: epoch.bundle,
      identity: goods.identity,
      model: goods.model,
      outcome: this.#outcome,
      promptTokens: this.#counts.promptTokens,
      completionTokens: Math.min(this.#counts.completionTokens, maxTokens),
      price: goods.price,
      chunks: sealer.chunks,
      transcript: sealer.transcript(),
      atMs: clock.nowMs(),
    };
    const signature = await epoch.signature(domains.nodeReceipt, receipt);
    if (signature === undefined) return log.error('receipt-key-gone', { jobId });
    send({ type: 'sealed-done', jobId, node: { receipt, signature } });
    const { outcome, promptTokens, completionTokens, chunks } = receipt;
    log.info('job-done', { jobId, outcome, promptTokens, completionTokens, chunks });
  }
}
