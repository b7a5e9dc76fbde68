/** The catalogue: which models there are, in which builds, what they need, cost and allow. */
import * as v from 'valibot';
import { entries } from './catalogue-entries.ts';
import { type Build, CatalogueSchema, type Model, buildDigest } from './catalogue-schema.ts';

export type { Build, Model, ModelFile } from './catalogue-schema.ts';

/** The catalogue of this release. */
export const catalogue: readonly Model[] = v.parse(
  CatalogueSchema,
  entries.map((entry) => ({
    ...entry,
    memoryMb: Math.min(...entry.builds.map((build) => build.memoryMb)),
    requiredFeatures: commonFeatures(entry.builds),
    builds: entry.builds.map((build) => ({ ...build, digest: buildDigest(build.files) })),
  })),
);

const models = new Map(catalogue.map((model) => [model.id, model]));
const builds = new Map(
  catalogue.flatMap((model) => model.builds.map((build) => [build.id, { model, build }] as const)),
);

export const modelById = (id: string): Model | undefined => models.get(id);

export const buildById = (id: string): { readonly model: Model; readonly build: Build } | undefined =>
  builds.get(id);

/** What a device offers an engine. */
export interface Device {
  readonly memoryMb: number;
  /** Of the WebGPU adapter; undefined where there is none, so that only wllama can run. */
  readonly features: ReadonlySet<string> | undefined;
}

export function buildRunsOn(build: Build, device: Device): boolean {
  if (build.memoryMb > device.memoryMb) return false;
  if (build.engine === 'wllama') return true;
  const { features } = device;
  return features !== undefined && build.requiredFeatures.every((feature) => features.has(feature));
}

/** The builds of a model that a device can run, in the catalogue's order: the best first. */
export const buildsFor = (model: Model, device: Device): readonly Build[] =>
  model.builds.filter((build) => buildRunsOn(build, device));

function commonFeatures(all: readonly Pick<Build, 'requiredFeatures'>[]) {
  return (all[0]?.requiredFeatures ?? []).filter((feature) =>
    all.every((b) => b.requiredFeatures.includes(feature)),
  );
}
