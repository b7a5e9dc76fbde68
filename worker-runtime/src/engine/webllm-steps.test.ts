import type { CommittedStep, GenerationConfig, ReplayedToken } from '@mlc-ai/web-llm';
import { seedAt } from '@tussah/protocol/seeds';
import { describe, expect, test } from 'vitest';
import { fakeCodec } from './fake-codec.ts';
import { type Step, type StepPipeline, Steps } from './webllm-steps.ts';

const END = 99;

/**
 * A pipeline whose next token depends on everything before it and on one draw of WebLLM's generator (MINSTD), which moves on
 * with every token unless it is seeded again.
 */
class FakePipeline implements StepPipeline {
  readonly seeds: number[] = [];
  #state = 1;
  #context: number[] = [];
  #made = 0;

  setSeed(seed: number): void {
    this.seeds.push(seed);
    this.#state = seed;
  }

  async replayGenerationTokens(
    prompt: number[],
    prefix: number[],
    generated: ReplayedToken[],
    config: GenerationConfig,
  ): Promise<{ committedToken?: CommittedStep }> {
    this.#context = [...prompt];
    this.#made = prefix.length;
    for (const [i, { tokenId, globalTokenPos }] of generated.entries()) {
      if (globalTokenPos !== prompt.length + i) throw new Error('a token at the wrong place');
      this.#context.push(tokenId);
      this.#made += 1;
    }
    if (generated.length > 0) return {};
    return { committedToken: this.commitSampledStep(await this.sampleDecodeStep(), config) };
  }

  async sampleDecodeStep(): Promise<{ tokenId: number }> {
    this.#state = Number((BigInt(this.#state) * 48_271n) % 2_147_483_647n);
    const sum = this.#context.reduce((a, b) => (a * 31 + b) % 1009, this.#state % 1009);
    return { tokenId: this.#made === 40 ? END : sum % 90 };
  }

  commitSampledStep({ tokenId }: { tokenId: number }, config: GenerationConfig): CommittedStep {
    if (tokenId === END) return { tokenId, finishReason: 'stop' };
    this.#context.push(tokenId);
    this.#made += 1;
    return { tokenId, finishReason: this.#made >= (config.max_tokens ?? Infinity) ? 'length' : undefined };
  }

  getTokenLogprobArray() {
    const top_logprobs = [
      { token: 'a', logprob: -0.1 },
      { token: '\ufffd\ufffd', logprob: -2 },
      { token: 'b', logprob: -3 },
    ];
    return [{ logprob: -0.1, top_logprobs }];
  }
}

const prompt = [3, 1, 4, 1, 5];
const config = { max_tokens: 60 };

async function answer(prefixIds: readonly number[], topLogprobs: number | null = null) {
  const pipeline = new FakePipeline();
  const steps = new Steps({ promptIds: prompt, prefixIds, seedRoot: 'r', topLogprobs, codec: fakeCodec });
  const made: Step[] = [];
  const first = await steps.begin(pipeline, config);
  if (first !== null) made.push(first);
  while (made.at(-1)?.stopped !== true) made.push(await steps.next(pipeline, config));
  return { ids: made.slice(0, -1).map(({ id }) => id), made, seeds: pipeline.seeds };
}

describe('steps of a job', () => {
  test('each token is drawn from the seed of its position', async () => {
    const { ids, seeds } = await answer([]);
    expect(ids.length).toBe(40);
    expect(seeds).toEqual(Array.from({ length: 41 }, (_, i) => seedAt('r', i)));
  });

  test('from every cut the rest is the same', async () => {
    const { ids } = await answer([]);
    for (let cut = 1; cut <= ids.length; cut++) {
      const rest = await answer(ids.slice(0, cut));
      expect([...ids.slice(0, cut), ...rest.ids]).toEqual(ids);
    }
  });

  test('log probabilities are given only when asked for; alternatives that can’t be named are left out', async () => {
    expect((await answer([])).made[0]).toMatchObject({ logprob: null, top: [] });
    expect((await answer([], 3)).made[0]).toMatchObject({
      logprob: -0.1,
      top: [
        { id: 97, logprob: -0.1 },
        { id: 98, logprob: -3 },
      ],
    });
    expect((await answer([], 0)).made[0]).toMatchObject({ logprob: -0.1, top: [] });
  });
});
