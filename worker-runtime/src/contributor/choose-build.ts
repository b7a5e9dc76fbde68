/** Chooses a build of a model for this device: what was asked for where it can run, and why not where it can't. */
import { type Build, buildsFor, type Device, type Model, modelById } from '@tussah/models/catalogue';
import { fail, failure, ok, type Result } from '@tussah/protocol/errors';
import type { EngineBuild } from '../engine/port.ts';
import type { BuildChoice } from './ports.ts';
import type { ContributorSettings } from './snapshot.ts';

/** What the catalogue asks of a device, and whether its WebGPU computes on the CPU. */
export interface ContributorDevice extends Device {
  readonly softwareGpu: boolean;
}

/** What this browser offers. It doesn't tell how much memory there is, so that counts as enough. */
export async function readDevice(
  gpu: GPU | undefined = globalThis.navigator?.gpu,
): Promise<ContributorDevice> {
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return {
    memoryMb: Number.POSITIVE_INFINITY,
    features: adapter?.features,
    softwareGpu: adapter?.info.isFallbackAdapter === true,
  };
}

/** `coordinatorUrl` is the site that the catalogue's own paths are on. */
export function chooseBuild(
  { model: id, engine: wish, coordinatorUrl }: ContributorSettings,
  device: ContributorDevice,
  find: (id: string) => Model | undefined = modelById,
): Result<BuildChoice> {
  const model = find(id);
  if (model === undefined)
    return fail(failure('model_not_found', `There is no model "${id}" in the catalogue.`));
  // A GPU that is really the CPU is slower than wllama: it is used when asked for by name only.
  const offered = wish === 'auto' && device.softwareGpu ? { ...device, features: undefined } : device;
  const runnable = buildsFor(model, offered);
  const wanted = wish === 'auto' ? (['webllm', 'wllama'] as const) : [wish];
  for (const engine of wanted) {
    const build = runnable.find((build) => build.engine === engine);
    if (build === undefined) continue;
    const engineNote =
      engine === wish || engine === wanted[0]
        ? null
        : `On the CPU with wllama, because ${whyNot(model, 'webllm', device)}`;
    return ok({
      model: model.id,
      build: engineBuild(model, build, coordinatorUrl),
      engine: build.engine,
      engineNote,
    });
  }
  const reasons = wanted.map((engine) => `${engine}: ${whyNot(model, engine, device)}`);
  return fail({
    code: 'no_build',
    message: `${model.name} can’t run here. ${reasons.join(' ')}`,
    remedy: 'Choose another model or engine, or a browser with WebGPU.',
  });
}

/** Ends with a full stop. */
function whyNot(model: Model, engine: string, device: ContributorDevice): string {
  const builds = model.builds.filter((build) => build.engine === engine);
  if (builds.length === 0) return 'there is no build of this model for it.';
  const leastMb = Math.min(...builds.map(({ memoryMb }) => memoryMb));
  if (leastMb > device.memoryMb) return `it needs ${leastMb} MiB of memory.`;
  if (device.features === undefined) return 'this browser offers no WebGPU.';
  if (device.softwareGpu) return 'this browser’s WebGPU is computed by the CPU.';
  return 'this graphics card has no 16-bit floats (shader-f16).';
}

function engineBuild(model: Model, build: Build, site: string): EngineBuild {
  return {
    id: build.id,
    contextTokens: model.contextTokens,
    webllmId: build.webllmId ?? null,
    files: build.files.map(({ role, url, bytes, sha256 }) => ({
      role,
      url: new URL(url, site).href,
      bytes: bytes ?? null,
      sha256: sha256 ?? null,
    })),
  };
}
