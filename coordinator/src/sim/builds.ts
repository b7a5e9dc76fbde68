/** What a simulated contributor serves, and at what price. */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { models } from './language.ts';
import type { Random } from './random.ts';

export interface Build {
  readonly model: string;
  readonly build: string;
  /** Null accepts the list price. */
  readonly ask: { readonly promptNanoPerMillion: string; readonly completionNanoPerMillion: string } | null;
}

/** One build or a few, most of them of the commonest model. */
export function someBuilds(random: Random): Build[] {
  const count = random.pick([1, 1, 2, 3]);
  const builds = new Map<string, Build>();
  for (let i = 0; i < count; i++) {
    const model = random.chance(0.65) ? 'small' : random.pick(models).id;
    const build = `${model}-${random.pick(['w', 'w', 'g'])}`;
    const cheap = {
      promptNanoPerMillion: `${random.below(1_000_000)}`,
      completionNanoPerMillion: `${random.below(2_000_000)}`,
    };
    builds.set(build, { model, build, ask: random.chance(0.5) ? null : cheap });
  }
  return [...builds.values()];
}

export const readyFrame = ({ model, build, ask }: Build, tokensPerSecond: number): ContributorFrame => ({
  type: 'model-ready',
  model,
  build,
  profile: {
    engine: build.endsWith('-w') ? 'wllama' : 'webllm',
    version: '1',
    prefix: 'text',
    seedBlock: 16,
    replay: 'bit-exact',
  },
  tokensPerSecond,
  ask,
});
