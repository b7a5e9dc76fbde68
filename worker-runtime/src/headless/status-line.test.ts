import { expect, test } from 'vitest';
import type { ContributorSnapshot } from '../contributor/snapshot.ts';
import { progressBar, StatusPrinter, statusLine } from './status-line.ts';

const ready: ContributorSnapshot = {
  phase: 'ready',
  sentence: 'Ready: waiting for a job.',
  progress: null,
  model: 'tiny',
  build: 'b',
  engine: 'wllama',
  engineNote: null,
  publicKey: null,
  jobsDone: 1,
  tokensDone: 120,
  tokensPerSecond: 14.23,
  earnedHereNano: '12000',
  earnedTotalNano: null,
  failure: null,
};
const loading = (loadedBytes: number): ContributorSnapshot => ({
  ...ready,
  phase: 'loading',
  sentence: 'Downloading the model.',
  progress: { step: 'download', loadedBytes, totalBytes: 2_000_000 },
});

test('the line says what happens, what was done and what was earned', () => {
  expect(statusLine(ready)).toBe(
    'Ready: waiting for a job. | 1 job | 120 tokens | 14.2 tokens/s | 0.000012 TON',
  );
});

test('progress is a bar, or bytes where the total is unknown', () => {
  const half = { step: 'download', loadedBytes: 1_000_000, totalBytes: 2_000_000 } as const;
  expect(progressBar(half)).toBe('[############------------] 50% of 2.0 MB');
  expect(progressBar({ ...half, totalBytes: null })).toBe('1.0 MB');
});

test('a terminal gets one line redrawn within its width, notices stay', () => {
  let out = '';
  const printer = new StatusPrinter({ isTTY: true, columns: 41, write: (text) => void (out += text) });
  printer.snapshot(ready);
  printer.line('Notice.');
  expect(out).toBe('\r\u001B[KReady: waiting for a job. | 1 job | 120 \r\u001B[KNotice.\n');
});

test('without a terminal each change is a line, progress by quarters', () => {
  const lines: string[] = [];
  const printer = new StatusPrinter({ write: (text) => void lines.push(text) });
  for (const bytes of [0, 100_000, 500_001, 600_000, 2_000_000]) printer.snapshot(loading(bytes));
  printer.snapshot(ready);
  printer.snapshot(ready);
  expect(lines).toEqual([
    'Downloading the model. 0%\n',
    'Downloading the model. 25%\n',
    'Downloading the model. 100%\n',
    'Ready: waiting for a job. | 1 job | 120 tokens | 14.2 tokens/s | 0.000012 TON\n',
  ]);
});
