/**
 * Where the blocks of the seed schedule begin. A block ends at the first whole character at or after `size` tokens, so its
 * borders follow from the delivered ids alone: whoever continues an answer, or audits one, finds them without having seen
 * how it came about. With a size of 1 every token is a block of its own, wherever characters end.
 */
import type { TokenCodec } from './token-codec.ts';
import { incompleteTail, joinBytes } from './utf8-assembler.ts';

export interface BlockStart {
  /** Number of the block, for `seedAt`. */
  readonly block: number;
  /** Position of its first token. */
  readonly position: number;
}

/** The block that the token after `ids` belongs to. */
export function blockAfter(ids: readonly number[], codec: TokenCodec, size: number): BlockStart {
  if (size === 1) return { block: ids.length, position: ids.length };
  let block = 0;
  let position = 0;
  let open: Uint8Array = new Uint8Array(0);
  for (const [i, id] of ids.entries()) {
    open = joinBytes([open, codec.bytesOf(id)]);
    const pending = incompleteTail(open);
    open = open.subarray(open.length - pending);
    if (pending === 0 && i + 1 - position >= size) {
      block += 1;
      position = i + 1;
    }
  }
  return { block, position };
}
