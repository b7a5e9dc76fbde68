/** Runs the answers that the session machine starts, one after the other, and tells it what came of each. */
import type { JobOffer } from '@tussah/protocol/contributor-frames';
import { EngineKeeper, failureOf } from './engine-keeper.ts';
import type { AnswerEnd, SessionEvent } from './session-state.ts';

/** Engine errors after which only a new engine helps, and how many others in a row mean the same. */
const fatalCodes = new Set([
  'device_lost',
  'out_of_memory',
  'not_loaded',
  'engine_busy',
  'webgpu_unavailable',
]);
const FAILED_JOBS_MAX = 3;

interface Run {
  readonly offer: JobOffer;
  readonly aborting: AbortController;
}

export class JobRunner {
  readonly #tell: (event: SessionEvent) => void;
  #run: Run | undefined;
  #failedInARow = 0;

  constructor(tell: (event: SessionEvent) => void) {
    this.#tell = tell;
  }

  /** The job that runs or waits for its signature. */
  get offer(): JobOffer | undefined {
    return this.#run?.offer;
  }

  /** Answers on the keeper's engine; one `answer-finished` or `answer-failed` follows, unless the run is dropped. */
  async start(offer: JobOffer, keeper: EngineKeeper | undefined): Promise<void> {
    const { jobId, prompt, prefix, sampling, maxTokens, stop, seedRoot, topLogprobs } = offer;
    const job = { prompt, prefix, sampling, maxTokens, stop, seedRoot, topLogprobs };
    const run: Run = { offer, aborting: new AbortController() };
    this.#run = run;
    const port = keeper?.port;
    try {
      if (port === undefined) throw new Error('no engine');
      let end: AnswerEnd | undefined;
      for await (const event of port.answer(job, run.aborting.signal)) {
        if (this.#run !== run) return;
        if (event.type === 'end') {
          end = event;
          break;
        }
        const { type: _, ...delta } = event;
        this.#tell({ type: 'delta', jobId, delta });
      }
      if (this.#run !== run) return;
      if (end === undefined) throw new Error('no end');
      this.#failedInARow = 0;
      keeper?.noteSuccess();
      const { finishReason, tokens, idsHash } = end;
      this.#tell({ type: 'answer-finished', jobId, end: { finishReason, tokens, idsHash } });
    } catch (error) {
      if (this.#run !== run) return;
      this.#run = undefined;
      const { code, message } = failureOf(error);
      this.#tell({ type: 'answer-failed', jobId, code, message });
      if (run.aborting.signal.aborted) return;
      this.#failedInARow++;
      const hopeless = fatalCodes.has(code) || this.#failedInARow >= FAILED_JOBS_MAX;
      if (hopeless && keeper?.port === port) keeper?.replace(message);
    }
  }

  /** Asks the running answer to end. */
  stop(jobId: string): void {
    if (this.#run?.offer.jobId === jobId) this.#run.aborting.abort();
  }

  /** Forgets the run: whatever its engine still says is not told. */
  drop(): void {
    this.#run?.aborting.abort();
    this.#run = undefined;
    this.#failedInARow = 0;
  }

  /** Lets go of a job whose last frame is made: its prompt is needed no longer. */
  forget(jobId: string): void {
    if (this.#run?.offer.jobId === jobId) this.#run = undefined;
  }
}
