/** An adapter where it runs: the port, beside the tokenizer of the build it has loaded. */
import type { EnginePort } from './port.ts';
import type { TokenCodec } from './token-codec.ts';

export interface Engine extends EnginePort {
  /** Throws `not_loaded`. */
  readonly codec: TokenCodec;
}
