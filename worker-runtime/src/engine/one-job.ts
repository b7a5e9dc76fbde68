/** One job at a time: engines share one cache and one sampler, and some hang when asked twice. */
import { engineError } from './engine-failures.ts';

export class OneJob {
  #busy = false;

  get busy(): boolean {
    return this.#busy;
  }

  /** Takes the engine, or throws `engine_busy`; the returned function gives it back. */
  begin(): () => void {
    if (this.#busy) throw engineError('engine_busy');
    this.#busy = true;
    return () => {
      this.#busy = false;
    };
  }
}
