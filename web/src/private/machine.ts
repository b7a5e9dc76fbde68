/** A verified machine in words for people. */
import type { NodeView } from '@tussah/client/private/nodes';
import type { Machine } from './proof.ts';

const machineNames: Readonly<Record<string, string>> = { tdx: 'Intel TDX', snp: 'AMD SEV-SNP' };
/** What people call NVIDIA's chips. */
const chipNames: Readonly<Record<string, string>> = {
  GH100: 'H100 or H200',
  GB100: 'B200',
  GB202: 'RTX Pro',
};

export const hardwareName = (kind: string): string =>
  Object.hasOwn(machineNames, kind) ? (machineNames[kind] ?? kind) : kind;

export const gpuName = (model: string): string =>
  Object.hasOwn(chipNames, model) ? `NVIDIA ${chipNames[model]} (${model})` : model;

/** `2 × NVIDIA …`; the same ones are counted. */
export function gpuText(models: readonly string[]): string {
  if (models.length === 0) return 'No GPU';
  return [...new Set(models)]
    .map((model) => {
      const count = models.filter((each) => each === model).length;
      return count === 1 ? model : `${count} × ${model}`;
    })
    .join(', ');
}

export const machineOf = (node: NodeView, policy: string, verifiedAtMs: number): Machine => ({
  bundle: node.bundle,
  identity: node.identity,
  hardware: hardwareName(node.machine),
  gpus: node.gpus.map(gpuName),
  image: node.image,
  price: node.price,
  simulated: node.simulated,
  policy,
  verifiedAtMs,
  joinedAtMs: node.joinedAtMs,
  notAfterMs: node.notAfterMs,
  stepsPassed: node.verdict.steps.filter(({ status }) => status === 'passed').length,
});
