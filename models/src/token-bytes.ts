/**
 * The bytes each token id stands for. Two families are known: byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM), whose tokens
 * are written in an alphabet of 256 characters, and SentencePiece with byte fallback (Llama 2, Phi 3, Gemma, Mistral), whose
 * tokens are text with U+2581 for the space and `<0x41>` for single bytes. Any other decoder is refused.
 */
import { type Result, fail, ok } from '@tussah/protocol/errors';
import type { TokenizerFailureCode, TokenizerJson } from './tokenizer-json.ts';

export interface TokenBytes {
  /** By id; undefined where no token has that id, empty for control tokens. */
  readonly bytes: readonly (Uint8Array | undefined)[];
  readonly specialIds: ReadonlySet<number>;
  /** Whether decoding takes away one space at the very start. */
  readonly dropsFirstSpace: boolean;
}

const unsupported = (message: string) =>
  fail<TokenizerFailureCode>({
    code: 'tokenizer_unsupported',
    message,
    remedy: 'Choose a model whose tokenizer is byte-level BPE, or SentencePiece with byte fallback.',
  });

/** Larger than any vocabulary in use; guards the table against absurd ids. */
const IDS_MAX = 2_000_000;

export function tokenBytesFor(json: TokenizerJson): Result<TokenBytes, TokenizerFailureCode> {
  const family = familyOf(json.decoder);
  if (!family.ok) return family;
  const { tokenToBytes, dropsFirstSpace, byteTokens } = family.value;

  const bytes: (Uint8Array | undefined)[] = [];
  const vocabulary = Array.isArray(json.model.vocab)
    ? json.model.vocab.map(([token], id) => [token, id] as const)
    : Object.entries(json.model.vocab);
  const tokens = new Set(vocabulary.map(([token]) => token));
  const missing = byteTokens.find((token) => !tokens.has(token));
  if (missing !== undefined)
    return unsupported(`The vocabulary has no token for the byte ${JSON.stringify(missing)}.`);
  for (const [token, id] of vocabulary) {
    if (id > IDS_MAX) return unsupported(`The token id ${id} is beyond ${IDS_MAX}.`);
    bytes[id] = tokenToBytes(token);
  }

  const specialIds = new Set<number>();
  for (const { id, content, special } of json.added_tokens) {
    if (id > IDS_MAX) return unsupported(`The token id ${id} is beyond ${IDS_MAX}.`);
    if (special) specialIds.add(id);
    bytes[id] = special ? new Uint8Array(0) : utf8.encode(content);
  }
  return ok({ bytes, specialIds, dropsFirstSpace });
}

interface Family {
  readonly tokenToBytes: (token: string) => Uint8Array;
  readonly dropsFirstSpace: boolean;
  /** Tokens without which ordinary text cannot be encoded. */
  readonly byteTokens: readonly string[];
}

type Part = { readonly type: string; readonly [member: string]: unknown };

function familyOf(decoder: Part | null | undefined): Result<Family, TokenizerFailureCode> {
  if (!decoder) return unsupported('The tokenizer names no decoder.');
  const parts = decoder.type === 'Sequence' ? decoder['decoders'] : [decoder];
  if (!Array.isArray(parts) || !parts.every(isPart))
    return unsupported('The sequence of decoders is malformed.');
  if (parts.length > 0 && parts.every((part) => part.type === 'ByteLevel')) {
    return ok({
      tokenToBytes: byteLevelBytes,
      dropsFirstSpace: false,
      byteTokens: textCharacters,
    });
  }
  return sentencePiece(parts);
}

const isPart = (value: unknown): value is Part =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

function sentencePiece(parts: readonly Part[]): Result<Family, TokenizerFailureCode> {
  const replacements: [string, string][] = [];
  let dropsFirstSpace = false;
  let byteFallback = false;
  for (const part of parts) {
    switch (part.type) {
      case 'Fuse':
        break;
      case 'ByteFallback':
        byteFallback = true;
        break;
      case 'Replace': {
        const pattern = (part['pattern'] as { String?: unknown } | undefined)?.String;
        if (typeof pattern !== 'string' || typeof part['content'] !== 'string') {
          return unsupported('The decoder replaces by a regular expression.');
        }
        replacements.push([pattern, part['content']]);
        break;
      }
      case 'Strip':
        if (part['content'] !== ' ' || part['start'] !== 1 || part['stop'] !== 0) {
          return unsupported('The decoder strips something other than one space at the start.');
        }
        dropsFirstSpace = true;
        break;
      case 'Metaspace':
        replacements.push([typeof part['replacement'] === 'string' ? part['replacement'] : '▁', ' ']);
        dropsFirstSpace = part['prepend_scheme'] !== 'never' && part['add_prefix_space'] !== false;
        break;
      default:
        return unsupported(`The decoder ${part.type} is not known here.`);
    }
  }
  if (!byteFallback)
    return unsupported('The tokenizer has no fallback to bytes, so it cannot write every text.');
  return ok({
    tokenToBytes: (token) => {
      const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
      if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
      return utf8.encode(replacements.reduce((text, [from, to]) => text.replaceAll(from, to), token));
    },
    dropsFirstSpace,
    byteTokens: Array.from(
      { length: 256 },
      (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    ),
  });
}

const utf8 = new TextEncoder();

/** GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 and up in order. */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    map.set(String.fromCharCode(printable ? byte : next++), byte);
  }
  return map;
})();

/**
 * Printable ASCII and the line feed. Some vocabularies lack tokens for bytes that text seldom or never has; those bytes are
 * dropped in encoding, as Hugging Face and llama.cpp do.
 */
const textCharacters: readonly string[] = [...byteOfCharacter]
  .filter(([, byte]) => byte === 0x0a || (byte >= 0x20 && byte <= 0x7e))
  .map(([character]) => character);

/** A token with a character outside the alphabet is plain text, as in Hugging Face's ByteLevel decoder. */
function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token[i] ?? '');
    if (byte === undefined) return utf8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
