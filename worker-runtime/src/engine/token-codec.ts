/** What engines and answers need from a tokenizer, and how one is opened from a build's files. */
import { loadTokenizer } from '@tussah/models/tokenizer';
import { engineError } from './engine-failures.ts';
import { joinBytes, utf8Bytes, utf8Text } from './utf8-assembler.ts';

export interface TokenCodec {
  encode(text: string): number[];
  /** Empty for control tokens and for ids that name no token. */
  bytesOf(id: number): Uint8Array;
  /** Text of the token that begins a prompt, where the model has one. */
  readonly bosToken?: string | undefined;
}

export interface CodecFiles {
  readonly tokenizer: Blob;
  /** `tokenizer_config.json`, where the build has it. */
  readonly config: Blob | null;
}
export type OpenCodec = (files: CodecFiles) => Promise<TokenCodec>;

export const openCodec: OpenCodec = async ({ tokenizer, config }) => {
  const loaded = loadTokenizer(
    await readJson(tokenizer),
    config === null ? undefined : await readJson(config),
  );
  if (!loaded.ok) throw engineError('file_corrupt', loaded.failure.message);
  return loaded.value;
};

async function readJson(blob: Blob): Promise<unknown> {
  try {
    return JSON.parse(await blob.text());
  } catch (error) {
    throw engineError('file_corrupt', 'The tokenizer file is not JSON.', error);
  }
}

export const bytesOfIds = (codec: TokenCodec, ids: readonly number[]): Uint8Array<ArrayBuffer> =>
  joinBytes(ids.map((id) => codec.bytesOf(id)));

/**
 * Ids whose bytes are exactly those of `text`; undefined where the tokenizer has none. The plain encoding fails for
 * SentencePiece, which puts a space before a text, and for a text that spells a control token.
 */
export function encodeExactly(codec: TokenCodec, text: string): number[] | undefined {
  const whole = encodeAsIs(codec, text);
  if (whole !== undefined) return whole;
  const ids: number[] = [];
  for (const character of text) {
    const part = encodeAsIs(codec, character);
    if (part === undefined) return undefined;
    ids.push(...part);
  }
  return ids;
}

function encodeAsIs(codec: TokenCodec, text: string): number[] | undefined {
  const bytes = utf8Bytes(text);
  if (utf8Text(bytes) !== text) return undefined;
  const ids = codec.encode(text);
  return [ids, ids.slice(1)].find((candidate) => sameBytes(bytesOfIds(codec, candidate), bytes));
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
