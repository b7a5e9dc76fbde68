/** What is asked while contributors are killed: everything that going on with an answer has to restore. */
import type OpenAI from 'openai';
import type { Random } from './random.ts';

export type Body = Pick<
  OpenAI.ChatCompletionCreateParamsStreaming,
  | 'temperature'
  | 'top_p'
  | 'seed'
  | 'max_tokens'
  | 'presence_penalty'
  | 'frequency_penalty'
  | 'logprobs'
  | 'top_logprobs'
> & { readonly question: string };

export interface Request {
  readonly name: string;
  /** The same draw gives the same request. */
  readonly body: (random: Random) => Body;
  /** A stop string is taken out of the answer, behind the first kill. */
  readonly stops?: true;
}

const story = 'Tell me a story.';
const tale = 'Расскажи сказку.';
const greedy = { temperature: 0 };
/** The model is sure of what it was trained on; this hot it says something else for every seed. */
const hot = (random: Random) => ({ temperature: 2, top_p: 0.98, seed: random.whole(0, 1_000_000) });

export const requests: readonly Request[] = [
  { name: 'greedy, with an emoji', body: () => ({ question: story, ...greedy }) },
  { name: 'greedy, in Russian, with an emoji', body: () => ({ question: tale, ...greedy }) },
  {
    name: 'sampled',
    body: (random) => ({ question: 'How does a public chat work?', ...hot(random), max_tokens: 90 }),
  },
  {
    name: 'sampled, Russian and emoji mixed',
    body: (random) => ({ question: 'Tell a story: 🌳 and шелкопряд', ...hot(random), max_tokens: 90 }),
  },
  {
    name: 'sampled with penalties',
    body: (random) => ({
      question: tale,
      ...hot(random),
      temperature: 1.5,
      presence_penalty: 0.7,
      frequency_penalty: 0.4,
      max_tokens: 90,
    }),
  },
  {
    name: 'greedy with penalties',
    body: () => ({
      question: 'Write a poem.',
      ...greedy,
      presence_penalty: 1.5,
      frequency_penalty: 1,
      max_tokens: 80,
    }),
  },
  {
    name: 'ended by max_tokens',
    body: (random) => ({ question: story, ...greedy, max_tokens: random.whole(24, 80) }),
  },
  {
    name: 'ended by a stop string behind the cut',
    body: () => ({ question: 'How does a private chat work?', ...greedy }),
    stops: true,
  },
  {
    name: 'with log probabilities',
    body: () => ({
      question: 'Who can read a public prompt?',
      ...greedy,
      logprobs: true,
      top_logprobs: 2,
    }),
  },
];
