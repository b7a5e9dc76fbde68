/**
 * A tokenizer for tests: ids 0 to 255 are single bytes, so that every character beyond ASCII spans several tokens; a few
 * whole words follow; the last two ids are control tokens.
 */
import type { TokenCodec } from './token-codec.ts';
import { utf8Bytes } from './utf8-assembler.ts';

const words = [
  ' the',
  ' a',
  ' light',
  ' river',
  ' stone',
  ' is',
  ' and',
  ' wind',
  'ing',
  '. ',
  ' при',
  ' день',
  ' 日',
  '!\n',
];
const WORDS_FROM = 256;
const tables = words.map((word) => utf8Bytes(word));
const none = new Uint8Array(0);

export const FAKE_WORDS: readonly number[] = words.map((_, i) => WORDS_FROM + i);
export const FAKE_EOG = WORDS_FROM + words.length;
export const FAKE_BOS = FAKE_EOG + 1;

export const fakeCodec: TokenCodec = {
  bosToken: '<bos>',
  bytesOf: (id) => (id < WORDS_FROM ? Uint8Array.of(id) : (tables[id - WORDS_FROM] ?? none)),
  encode(text) {
    const ids: number[] = [];
    for (let at = 0; at < text.length;) {
      if (text.startsWith('<bos>', at)) {
        ids.push(FAKE_BOS);
        at += 5;
        continue;
      }
      const word = words.findIndex((candidate) => text.startsWith(candidate, at));
      if (word >= 0) {
        ids.push(WORDS_FROM + word);
        at += words[word]?.length ?? 1;
        continue;
      }
      const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
      ids.push(...utf8Bytes(character));
      at += character.length;
    }
    return ids;
  },
};
