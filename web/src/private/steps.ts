/** The steps of a verification as they are read: those of one part together, each with its result. */
import type { Step } from '@tussah/attestation/steps/record';
import { hardwareName } from './machine.ts';

export interface StepGroup {
  readonly title: string;
  readonly passed: number;
  readonly failed: number;
  /** Nobody asked for them, or something before them failed. */
  readonly unchecked: number;
  readonly steps: readonly Step[];
}

/** In the order of the record; within a group failures come first. */
export function groupSteps(steps: readonly Step[]): readonly StepGroup[] {
  const parts = [...new Set(steps.map(partOf))];
  return parts.map((part) => {
    const own = steps.filter((step) => partOf(step) === part);
    const of = (status: Step['status']) => own.filter((step) => step.status === status);
    const [passed, failed, unchecked] = [of('passed'), of('failed'), of('unchecked')];
    return {
      title: titleOf(part),
      passed: passed.length,
      failed: failed.length,
      unchecked: unchecked.length,
      steps: [...failed, ...passed, ...unchecked],
    };
  });
}

const partOf = ({ id }: Step): string => id.slice(0, Math.max(0, id.indexOf('.')));

function titleOf(part: string): string {
  if (part === 'bundle') return 'What the node states';
  const gpu = /^gpu(?:-(\d+))?$/.exec(part);
  if (gpu !== null) return gpu[1] === undefined ? 'GPU' : `GPU ${Number(gpu[1]) + 1}`;
  const hardware = hardwareName(part);
  return hardware === part ? part : `Machine: ${hardware}`;
}

/** `24 of 24 passed`, `2 of 24 failed`. */
export function resultOf({ passed, failed, unchecked }: StepGroup): string {
  const made = passed + failed;
  const rest = unchecked === 0 ? '' : `, ${unchecked} not checked`;
  return failed > 0 ? `${failed} of ${made} failed${rest}` : `${passed} of ${made} passed${rest}`;
}
