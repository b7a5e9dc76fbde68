/**
 * The simulated models: a vocabulary, and for each question one right answer of each build, known in advance. Signatures are
 * stand-ins that only their owner makes.
 */
import type { Codecs } from '../core/turn.ts';
import type { ModelInfo } from '../core/state.ts';

const letters = [...'abcdefghijklmnopqrstuvwxyz .,?ёжы🦋'];
/** Tokens of two letters, so that a spelt-out text has more ids than our own encoding of it. */
const pairs = ['th', 'he', 'in', 'er', 'an', 're', 'on', 'at', '. ', 'жы'];
const vocabulary = [null, ...letters, ...pairs];
const pairSet = new Set(pairs);

/** 0 is a control token; ids from here on are unknown. */
export const VOCABULARY = vocabulary.length;

export const textOf = (ids: readonly number[]): string | undefined => {
  let text = '';
  for (const id of ids) {
    const piece = vocabulary[id];
    if (piece == null) return undefined;
    text += piece;
  }
  return text;
};

/** Tokens of the shortest encoding that a greedy reader finds. */
const count = (text: string): number => {
  const characters = [...text];
  let tokens = 0;
  for (let i = 0; i < characters.length; i++) {
    if (pairSet.has(`${characters[i]}${characters[i + 1]}`)) i += 1;
    tokens += 1;
  }
  return tokens;
};

const codec = { textOf, count };
export const codecs: Codecs = { codecOf: () => codec };

const listPrice = { promptNanoPerMillion: 1_000_000n, completionNanoPerMillion: 2_000_000n };
const builds = (model: string): ModelInfo['builds'] =>
  new Map([
    [`${model}-w`, 'wllama'],
    [`${model}-g`, 'webllm'],
  ]);
export const models: readonly ModelInfo[] = ['small', 'large', 'rare'].map((id) => ({
  id,
  contextTokens: 600,
  price: listPrice,
  builds: builds(id),
}));

/** FNV-1a, 32 bits. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ (b + 0x9e3779b9), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The one answer that an honest contributor of this build gives to this question. */
export interface RightAnswer {
  /** Tokens until it stops by itself; 0 is an empty answer. */
  readonly length: number;
  tokenAt(position: number): number;
}

export function answerOf(seedRoot: string, promptHash: string, build: string): RightAnswer {
  const root = hash32(`${seedRoot}|${promptHash}|${build}`);
  const drawn = mix(root, -1);
  // Most are short, some are long, a few are empty.
  const length = drawn % 16 === 0 ? 100 + (drawn % 300) : drawn % 40;
  return { length, tokenAt: (position) => 1 + (mix(root, position) % (VOCABULARY - 1)) };
}

/** What `publicKey`'s owner, and nobody else, puts under a statement. */
export const signatureOf = (publicKey: string, statement: string): string =>
  `${publicKey.slice(0, 16)}:${hash32(`${publicKey}|${statement}`).toString(16)}`;
