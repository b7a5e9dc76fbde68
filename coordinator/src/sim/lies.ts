/** What dishonest contributors send, and how many of which kind there are. */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import type { Random } from './random.ts';

export const lies = [
  'ids',
  'text',
  'position',
  'too-many',
  'logprobs',
  'hash',
  'count',
  'signature',
] as const;
export type Lie = (typeof lies)[number];

/** A frame that is well formed, at no particular time. */
export function anyFrame(random: Random, jobId: string, publicKey: string): ContributorFrame {
  const frames: readonly ContributorFrame[] = [
    {
      type: 'hello',
      protocol: 'tussah.v1',
      publicKey,
      signature: 'x',
      wallet: null,
      agent: 's',
      resume: null,
    },
    {
      type: 'model-ready',
      model: 'small',
      build: 'small-w',
      profile: { engine: 'wllama', version: '1', prefix: 'text', seedBlock: 16, replay: 'bit-exact' },
      tokensPerSecond: 1,
      ask: { promptNanoPerMillion: '999999999', completionNanoPerMillion: '0' },
    },
    { type: 'job-accept', jobId },
    { type: 'job-decline', jobId, reason: 'no' },
    { type: 'text-delta', jobId, position: 1_000 + random.below(4), ids: [1], text: 'a' },
    {
      type: 'job-done',
      jobId,
      finishReason: 'stop',
      tokens: random.below(4),
      idsHash: random.hex(64),
      signature: 'x',
    },
    { type: 'job-failed', jobId, code: 'x', message: 'x' },
    { type: 'status', state: random.pick(['ready', 'paused', 'draining']) },
    { type: 'pong', n: random.pick([0, 1_000_000]) },
  ];
  return random.pick(frames);
}

/** Probabilities of not doing what is right, each at its own occasion. */
export interface Temper {
  readonly name: string;
  /** At an offer. */
  readonly decline: number;
  /** At each piece of an answer: to fall silent, to go for good, to lose the connection, to give up, to tell a lie. */
  readonly stall: number;
  readonly vanish: number;
  readonly drop: number;
  readonly fail: number;
  readonly lie: number;
  /** To answer well-formed nonsense, which nobody can know from an answer. */
  readonly forge: number;
  /** At each occasion to speak: to send what is illegal then. */
  readonly garbage: number;
  /** After a job: to say that it is paused, or draining, for a while. */
  readonly pause: number;
  /** To come back under another key. */
  readonly rename: number;
  /** Factor of all its delays. */
  readonly slowness: number;
}

const honest: Temper = {
  name: 'honest',
  decline: 0,
  stall: 0,
  vanish: 0,
  drop: 0,
  fail: 0,
  lie: 0,
  forge: 0,
  garbage: 0,
  pause: 0,
  rename: 0,
  slowness: 1,
};

const tempers: readonly Temper[] = [
  { ...honest, name: 'slow', slowness: 12 },
  { ...honest, name: 'liar', lie: 0.1 },
  { ...honest, name: 'forger', forge: 0.7 },
  { ...honest, name: 'babbler', garbage: 0.08 },
  { ...honest, name: 'vanishing', vanish: 0.05 },
  { ...honest, name: 'stalling', stall: 0.05 },
  { ...honest, name: 'returning', drop: 0.05 },
  { ...honest, name: 'renaming', drop: 0.03, rename: 0.7 },
  { ...honest, name: 'declining', decline: 0.7 },
  { ...honest, name: 'failing', fail: 0.05 },
  { ...honest, name: 'pausing', pause: 0.6 },
  { ...honest, name: 'awful', lie: 0.05, garbage: 0.05, stall: 0.02, drop: 0.03, decline: 0.2, pause: 0.2 },
];

/** `malice` is the share of those that are not honest. */
export const temperFor = (random: Random, malice: number): Temper =>
  random.chance(malice) ? random.pick(tempers) : honest;
