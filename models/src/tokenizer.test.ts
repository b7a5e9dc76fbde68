import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import llamaCpp from './fixtures/llama-cpp-tokenization.json' with { type: 'json' };
import { type ChatTokenizer, loadTokenizer } from './tokenizer.ts';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../tiny/${name}`, import.meta.url), 'utf8'));
const load = (json: unknown, config?: unknown): ChatTokenizer => {
  const loaded = loadTokenizer(json, config);
  if (!loaded.ok) throw new Error(loaded.failure.message);
  return loaded.value;
};
const refusal = (json: unknown) => {
  const loaded = loadTokenizer(json);
  return loaded.ok ? undefined : loaded.failure;
};

const tinyJson = read('tokenizer.json') as Record<string, unknown>;
const tiny = load(tinyJson, read('tokenizer_config.json'));
const utf8 = new TextEncoder();
const anyText = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('Привет', ' 12', '🧵'),
  ),
});

/** A small tokenizer of the kind that Llama 2, Phi 3 and Gemma use. */
const byteTokens = Array.from(
  { length: 256 },
  (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const pieces = ['<unk>', '<s>', '</s>', ...byteTokens, '▁', 'a', 'b', 'ж', '▁a', 'ab', '▁ab'];
const sentencePieceJson = {
  version: '1.0',
  added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({
    id,
    content,
    special: true,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
  })),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    merges: ['▁ a', 'a b', '▁a b'],
  },
};
const sentencePiece = load(sentencePieceJson);

describe('the bundled tokenizer', () => {
  test.each(llamaCpp)('encodes $text as llama.cpp does', ({ text, ids }) => {
    expect(tiny.encode(text)).toEqual(ids);
  });

  test('gives back the exact bytes of any text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tiny.decodeBytes(tiny.encode(tiny.sanitiseContent(text)))).toEqual(
          utf8.encode(tiny.sanitiseContent(text)),
        );
      }),
    );
  });

  test('splits a character over several tokens and puts its bytes together again', () => {
    const ids = tiny.encode('🧵');
    expect(ids.length).toBeGreaterThan(1);
    expect(tiny.decode(ids.slice(0, 1))).not.toContain('🧵');
    expect(tiny.decode(ids)).toBe('🧵');
  });

  test('decodes any split of the ids to the same bytes', () => {
    fc.assert(
      fc.property(anyText, fc.nat(), (text, cut) => {
        const ids = tiny.encode(text);
        const at = cut % (ids.length + 1);
        const parts = [
          ...tiny.decodeBytes(ids.slice(0, at)),
          ...tiny.decodeBytes(ids.slice(at), { start: false }),
        ];
        expect(parts).toEqual([...tiny.decodeBytes(ids)]);
      }),
    );
  });

  test('gives control tokens no text, and knows them by name', () => {
    expect(tiny.specialIds).toEqual(new Set([0, 1, 2]));
    expect(tiny.idOf('<|im_end|>')).toBe(2);
    expect([tiny.bosToken, tiny.eosToken]).toEqual(['<|im_start|>', '<|im_end|>']);
    expect(tiny.decode(tiny.encode('a<|im_end|>b'))).toBe('ab');
  });

  test('gives an id that names no token no bytes', () => {
    expect(tiny.size).toBe(1024);
    expect(tiny.bytesOf(1024)).toHaveLength(0);
  });

  test('makes every digit a token of its own', () => {
    expect(tiny.count('1234567890')).toBe(10);
  });

  test('drops a byte that the vocabulary lacks', () => {
    const model = tinyJson['model'] as { vocab: Record<string, number> };
    const { Ā: _, ...vocab } = model.vocab;
    const lacking = load({ ...tinyJson, model: { ...model, vocab } });
    expect(lacking.decode(lacking.encode('a\u0000b'))).toBe('ab');
  });

  test('reads a lone surrogate as U+FFFD', () => {
    expect(tiny.decode(tiny.encode('a\uD800b'))).toBe('a\uFFFDb');
  });
});

describe('control tokens typed by a person', () => {
  const hostile = fc.string({
    unit: fc.constantFrom(
      '<|im_end|>',
      '<|im_start|>',
      '<|',
      '|>',
      'im_end',
      '<',
      'a',
      '\uD83D',
      '\u200B',
      '<|endoftext|>',
    ),
  });

  test('never encode to control ids once sanitised', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const ids = tiny.encode(tiny.sanitiseContent(text));
        expect(ids.filter((id) => tiny.specialIds.has(id))).toEqual([]);
      }),
    );
  });

  test('do so unsanitised', () => {
    expect(tiny.encode('<|im_end|>')).toEqual([2]);
  });

  test('are broken also when the tokenizer does not mark them but they look like control tokens', () => {
    const added = [
      { id: 1024, content: '<|tool|>', special: false },
      { id: 1025, content: '<table>', special: false },
    ];
    const unmarked = load({
      ...tinyJson,
      added_tokens: [...(tinyJson['added_tokens'] as object[]), ...added],
    });
    expect(unmarked.sanitiseContent('<|tool|>')).toBe('<\u200B|tool|>');
    expect(unmarked.sanitiseContent('<table>')).toBe('<table>');
    expect(unmarked.decode([1025])).toBe('<table>');
  });
});

describe('a SentencePiece tokenizer with byte fallback', () => {
  test('gives back any text, without the space that it puts in front', () => {
    expect(sentencePiece.decode(sentencePiece.encode('ab ab'))).toBe('ab ab');
    // U+2581 itself stands for a space in this family.
    fc.assert(
      fc.property(
        anyText.filter((text) => !text.includes('▁') && text !== ''),
        (text) => {
          const clean = sentencePiece.sanitiseContent(text);
          expect(sentencePiece.decodeBytes(sentencePiece.encode(clean))).toEqual(utf8.encode(clean));
        },
      ),
    );
  });

  test('keeps the space of a token in the middle of an answer', () => {
    const id = sentencePiece.idOf('▁ab') ?? -1;
    expect([...sentencePiece.decodeBytes([id], { start: false })]).toEqual([...utf8.encode(' ab')]);
    expect([...sentencePiece.bytesOf(id)]).toEqual([...utf8.encode(' ab')]);
  });

  test('gives a byte token its byte', () => {
    expect([...sentencePiece.bytesOf(sentencePiece.idOf('<0xF0>') ?? -1)]).toEqual([0xf0]);
  });
});

describe('a tokenizer that cannot be relied on is refused', () => {
  const withDecoder = (decoder: unknown) => ({ ...tinyJson, decoder });
  const vocabulary = (tinyJson['model'] as { vocab: Record<string, number> }).vocab;
  const { a: _, ...withoutLetter } = vocabulary;

  test.each<[string, unknown, string]>([
    [
      'an unknown decoder',
      withDecoder({ type: 'WordPiece', prefix: '##', cleanup: true }),
      'tokenizer_unsupported',
    ],
    ['no decoder', withDecoder(null), 'tokenizer_unsupported'],
    [
      'an unknown member of a sequence',
      withDecoder({ type: 'Sequence', decoders: [{ type: 'CTC' }] }),
      'tokenizer_unsupported',
    ],
    [
      'no byte fallback',
      withDecoder({ type: 'Sequence', decoders: [{ type: 'Fuse' }] }),
      'tokenizer_unsupported',
    ],
    [
      'byte-level without a token for a letter',
      { ...tinyJson, model: { ...(tinyJson['model'] as object), vocab: withoutLetter } },
      'tokenizer_unsupported',
    ],
    [
      'byte fallback without a token for every byte',
      { ...sentencePieceJson, model: { ...sentencePieceJson.model, vocab: { '<unk>': 0 } } },
      'tokenizer_unsupported',
    ],
    [
      'an absurd id',
      { ...tinyJson, added_tokens: [{ id: 9_000_000, content: '<x>', special: true }] },
      'tokenizer_unsupported',
    ],
    ['no model', { decoder: { type: 'ByteLevel' } }, 'tokenizer_malformed'],
    ['not an object', 'tokenizer', 'tokenizer_malformed'],
  ])('%s', (_name, json, code) => {
    const failed = refusal(json);
    expect(failed?.code).toBe(code);
    expect(failed?.remedy).not.toBe('');
  });
});
