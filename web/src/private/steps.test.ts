import type { Step } from '@tussah/attestation/steps/record';
import { expect, it } from 'vitest';
import { gpuText } from './machine.ts';
import { groupSteps, resultOf } from './steps.ts';

const step = (id: string, status: Step['status']): Step => ({ id, title: id, status });

it('groups steps by what they are about, failures first', () => {
  const groups = groupSteps([
    step('bundle.format', 'passed'),
    step('tdx.quote', 'passed'),
    step('tdx.td.debug', 'failed'),
    step('tdx.image', 'unchecked'),
    step('gpu-0.report', 'passed'),
    step('gpu-1.report', 'passed'),
  ]);
  expect(groups.map((group) => [group.title, resultOf(group)])).toEqual([
    ['What the node states', '1 of 1 passed'],
    ['Machine: Intel TDX', '1 of 2 failed, 1 not checked'],
    ['GPU 1', '1 of 1 passed'],
    ['GPU 2', '1 of 1 passed'],
  ]);
  expect(groups[1]?.steps[0]?.id).toBe('tdx.td.debug');
});

it('counts GPUs of a kind', () => {
  expect(gpuText([])).toBe('No GPU');
  expect(gpuText(['a', 'b', 'a'])).toBe('2 × a, b');
});
