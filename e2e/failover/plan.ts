/** What a run will do: which answers are asked, and which kills fall into each. */
import type { EngineChoice } from '@tussah/worker-runtime/contributor/host-bridge';
import { killsFor, type Kill } from './kills.ts';
import { Random } from './random.ts';
import { requests, type Request } from './requests.ts';

export interface PlannedAnswer {
  readonly request: Request;
  /** In the order in which they fall; one, and sometimes two. */
  readonly kills: readonly Kill[];
  /** For what is drawn while it runs. */
  readonly random: Random;
}

/** The same seed plans the same run. Every way of killing has its turn before one comes again, and so has every request. */
export function planRun(engine: EngineChoice, kills: number, seed: number): PlannedAnswer[] {
  const random = new Random(seed);
  const ways = random.deal(killsFor(engine));
  const asked = random.deal(requests);
  const answers: PlannedAnswer[] = [];
  for (let left = kills; left > 0;) {
    const count = left > 1 && random.chance(0.25) ? 2 : 1;
    answers.push({
      request: asked.next().value,
      kills: Array.from({ length: count }, () => ways.next().value),
      random: new Random(random.whole(0, 2 ** 32 - 1)),
    });
    left -= count;
  }
  return answers;
}
