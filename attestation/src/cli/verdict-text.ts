/** A verdict for a terminal. */
import type { Step } from '../steps/record.ts';
import type { Claim, Verdict } from '../verdict.ts';
import { printable } from './printable.ts';

const marks: Readonly<Record<Step['status'], string>> = { passed: 'ok  ', failed: 'FAIL', unchecked: '--  ' };

export function verdictText({ verdict, steps, claims }: Verdict): string {
  const simulated = claims['simulated'] === true;
  const lines = [
    ...(simulated ? ['SIMULATED: this evidence does not come from real hardware.'] : []),
    ...steps.flatMap(stepLines),
    '',
    ...Object.entries(claims).map(([name, value]) => `${name}: ${claimText(value)}`),
    '',
    `${verdict}${simulated ? ' (SIMULATED)' : ''}`,
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function stepLines({ id, title, status, expected, got, remedy }: Step): string[] {
  const line = `${marks[status]}  ${title} [${id}]`;
  if (status === 'passed') return [line];
  const remedies = remedy === undefined ? [] : [`        remedy:   ${remedy}`];
  if (status === 'unchecked')
    return [`${line}: unchecked${remedy === undefined ? '' : ', but needed'}`, ...remedies];
  return [line, `        expected: ${expected}`, `        got:      ${got}`, ...remedies];
}

const claimText = (value: Claim): string => (typeof value === 'string' ? value : JSON.stringify(value));
