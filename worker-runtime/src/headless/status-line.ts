/** Shows a contributor in a terminal: one line that is redrawn, or, where there is no terminal, a line a change. */
import { formatTon } from '@tussah/protocol/money';
import type { ContributorSnapshot } from '../contributor/snapshot.ts';

export interface Output {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const BAR_CELLS = 24;
/** Without a terminal, progress is said at every quarter. */
const QUARTERS = 4;

/** `Ready: waiting for a job. | 3 jobs | 120 tokens | 14.2 tokens/s | 0.000012 TON` */
export function statusLine(snapshot: ContributorSnapshot): string {
  const { sentence, jobsDone, tokensDone, tokensPerSecond, earnedHereNano } = snapshot;
  return [
    sentence,
    `${jobsDone} ${jobsDone === 1 ? 'job' : 'jobs'}`,
    `${tokensDone} tokens`,
    ...(tokensPerSecond === null ? [] : [`${tokensPerSecond.toFixed(1)} tokens/s`]),
    `${formatTon(BigInt(earnedHereNano))} TON`,
  ].join(' | ');
}

/** `[######------] 45% of 27.1 MB`, or the bytes so far where the total is unknown. */
export function progressBar({
  loadedBytes,
  totalBytes,
}: NonNullable<ContributorSnapshot['progress']>): string {
  if (totalBytes === null || totalBytes === 0) return `${megabytes(loadedBytes)} MB`;
  const share = Math.min(1, loadedBytes / totalBytes);
  const full = Math.floor(share * BAR_CELLS);
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_CELLS - full)}] ${Math.floor(share * 100)}% of ${megabytes(totalBytes)} MB`;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

export class StatusPrinter {
  readonly #output: Output;
  #drawn = false;
  #last = '';

  constructor(output: Output) {
    this.#output = output;
  }

  snapshot(snapshot: ContributorSnapshot): void {
    const { progress, sentence, engineNote } = snapshot;
    if (this.#output.isTTY === true) {
      const text = progress === null ? statusLine(snapshot) : `${sentence} ${progressBar(progress)}`;
      // One cell less than the width, so that no terminal wraps the line.
      const width = Math.max(20, (this.#output.columns ?? 80) - 1);
      this.#output.write(`\r\u001B[K${text.slice(0, width)}`);
      this.#drawn = true;
      return;
    }
    const quarter = progress?.totalBytes
      ? Math.floor((QUARTERS * progress.loadedBytes) / progress.totalBytes)
      : 0;
    const note = engineNote === null ? '' : ` (${engineNote})`;
    const text =
      progress === null
        ? `${statusLine({ ...snapshot, tokensDone: snapshot.phase === 'working' ? 0 : snapshot.tokensDone })}${note}`
        : `${sentence} ${(quarter * 100) / QUARTERS}%`;
    if (text === this.#last) return;
    this.#last = text;
    this.#output.write(`${text}\n`);
  }

  /** A sentence that stays on the screen. */
  line(text: string): void {
    this.#output.write(this.#drawn ? `\r\u001B[K${text}\n` : `${text}\n`);
    this.#drawn = false;
    this.#last = '';
  }
}
