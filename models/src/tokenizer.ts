/**
 * Our tokenizer: text to token ids and token ids to exact bytes, from a Hugging Face `tokenizer.json`.
 * Encoding is `@huggingface/tokenizers`. The inverse is a table of our own, because a token may hold a part of a character,
 * which a decoder that returns strings cannot say. Works in browsers and in Node.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { type Result, fail, ok } from '@tussah/protocol/errors';
import * as v from 'valibot';
import { makeSanitiser } from './sanitise.ts';
import { type TokenBytes, tokenBytesFor } from './token-bytes.ts';
import { type TokenizerFailureCode, type TokenizerJson, TokenizerJsonSchema } from './tokenizer-json.ts';

/** What a prompt template and an engine need from `tokenizer_config.json`; tokens appear as text or as an object. */
const tokenText = v.nullish(
  v.union([
    v.string(),
    v.pipe(
      v.object({ content: v.string() }),
      v.transform((t) => t.content),
    ),
  ]),
);
const ConfigSchema = v.looseObject({
  bos_token: tokenText,
  eos_token: tokenText,
  chat_template: v.nullish(v.unknown()),
});

export interface ChatTokenizer {
  /** One more than the largest id that names a token. */
  readonly size: number;
  /** Ids of control tokens: they carry no text. */
  readonly specialIds: ReadonlySet<number>;
  /** Text of the tokens that begin a prompt and end an answer, as the configuration names them. */
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  /** The template of the configuration, when it is a single one. */
  readonly chatTemplate: string | undefined;
  /** Ids of a text. Control tokens written in the text become their ids; nothing is added around it. */
  encode(text: string): number[];
  count(text: string): number;
  idOf(token: string): number | undefined;
  /** The bytes of one token; none for a control token and for an id that names no token. */
  bytesOf(id: number): Uint8Array;
  /**
   * The bytes of consecutive tokens. Some SentencePiece tokenizers put a space before a text and take it away when they
   * decode; `start` says whether the first id begins such a text (default true).
   */
  decodeBytes(ids: readonly number[], options?: { start?: boolean }): Uint8Array<ArrayBuffer>;
  /** `decodeBytes` read as UTF-8; incomplete characters show as U+FFFD. */
  decode(ids: readonly number[]): string;
  /** Makes control tokens typed by a person harmless; see sanitise.ts. */
  sanitiseContent(text: string): string;
}

const malformed = (message: string) =>
  fail<TokenizerFailureCode>({
    code: 'tokenizer_malformed',
    message,
    remedy: 'Use an unmodified tokenizer.json in the format of Hugging Face tokenizers.',
  });

/** Builds a tokenizer from the parsed `tokenizer.json` and, if there is one, `tokenizer_config.json`. */
export function loadTokenizer(
  json: unknown,
  config: unknown = {},
): Result<ChatTokenizer, TokenizerFailureCode> {
  const parsed = v.safeParse(TokenizerJsonSchema, json);
  if (!parsed.success) return malformed(`tokenizer.json: ${v.summarize(parsed.issues)}`);
  const settings = v.safeParse(ConfigSchema, config);
  if (!settings.success) return malformed(`tokenizer_config.json: ${v.summarize(settings.issues)}`);
  const table = tokenBytesFor(parsed.output);
  if (!table.ok) return table;
  let engine: Tokenizer;
  try {
    engine = new Tokenizer(parsed.output, settings.output);
  } catch (error) {
    return malformed(`tokenizer.json: ${error instanceof Error ? error.message : String(error)}`);
  }
  return ok(chatTokenizer(engine, table.value, parsed.output, settings.output));
}

function chatTokenizer(
  engine: Tokenizer,
  table: TokenBytes,
  json: TokenizerJson,
  config: v.InferOutput<typeof ConfigSchema>,
): ChatTokenizer {
  const encode = (text: string): number[] => {
    const { ids } = engine.encode(text.toWellFormed(), { add_special_tokens: false }) as {
      ids: readonly (number | undefined)[];
    };
    return ids.filter((id) => id !== undefined);
  };
  const decodeBytes = (ids: readonly number[], { start = true }: { start?: boolean } = {}) => {
    const parts = ids.map((id) => table.bytes[id] ?? none);
    const drop = start && table.dropsFirstSpace && firstByte(parts) === SPACE ? 1 : 0;
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all.slice(drop);
  };
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    size: table.bytes.length,
    specialIds: table.specialIds,
    bosToken: config.bos_token ?? undefined,
    eosToken: config.eos_token ?? undefined,
    chatTemplate: typeof config.chat_template === 'string' ? config.chat_template : undefined,
    encode,
    count: (text) => encode(text).length,
    idOf: (token) => engine.token_to_id(token),
    bytesOf: (id) => table.bytes[id] ?? none,
    decodeBytes,
    decode: (ids) => decoder.decode(decodeBytes(ids)),
    sanitiseContent: makeSanitiser(json.added_tokens.filter(isControl).map((token) => token.content)),
  };
}

/**
 * Tokens that engines parse as control tokens: those marked special, and those that llama.cpp's converter takes for special
 * by their look even when the mark is missing (`does_token_look_special` in convert_hf_to_gguf.py).
 */
function isControl(token: { content: string; special: boolean }): boolean {
  return (
    token.special ||
    /^(<\|.*\|>|<｜.*｜>|<(pad|mask|2mass|start_of_turn|end_of_turn|bos|eos|s|\/s)>|\[@BOS@\])$/su.test(
      token.content,
    )
  );
}

const SPACE = 0x20;
const none = new Uint8Array(0);
const firstByte = (parts: readonly Uint8Array[]) => parts.find((part) => part.length > 0)?.[0];
