/** Which engine would run a model on this device, and why: said before anything is downloaded, by what will choose then. */
import { buildById, type Build, type Model } from '@tussah/models/catalogue';
import { chooseBuild, type ContributorDevice } from '@tussah/worker-runtime/contributor/choose-build';
import type { EngineChoice } from '@tussah/worker-runtime/contributor/host-bridge';

export interface EngineAdvice {
  /** Null where nothing can run. */
  readonly build: Build | null;
  readonly sentence: string;
}

const places = {
  webllm: 'This will run in WebLLM, on the graphics card.',
  wllama: 'This will run in wllama, on the processor.',
  fake: 'This will run in a test engine.',
} as const;

export function adviseEngine(
  model: string,
  engine: EngineChoice,
  device: ContributorDevice,
  find?: (id: string) => Model | undefined,
): EngineAdvice {
  const settings = { coordinatorUrl: 'https://localhost', model, engine, wallet: null, ask: null };
  const chosen = chooseBuild(settings, device, find);
  if (!chosen.ok) return { build: null, sentence: `${chosen.failure.message} ${chosen.failure.remedy}` };
  const { build, engine: found, engineNote } = chosen.value;
  const all = find?.(model)?.builds ?? [];
  return {
    build: all.find(({ id }) => id === build.id) ?? buildById(build.id)?.build ?? null,
    sentence: engineNote === null ? places[found] : `This will run: ${lowerFirst(engineNote)}`,
  };
}

const lowerFirst = (text: string) => `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
