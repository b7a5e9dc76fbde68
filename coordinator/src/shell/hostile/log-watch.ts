/** Reads a coordinator's log as it is written and keeps what must not be in it. */
import { MARKER } from './vocabulary.ts';

const KEPT = 200;

export class LogWatch {
  /** Lines with the planted marker. */
  readonly leaks: string[] = [];
  /** Lines that are no JSON, such as warnings of the runtime, and errors of ours. */
  readonly alarms: string[] = [];
  lines = 0;
  #rest = '';
  #last: string[] = [];

  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  /** The end of the log, for when it ended unexpectedly. */
  get last(): string {
    return [...this.#last, this.#rest].join('\n');
  }

  #line(line: string): void {
    this.lines += 1;
    this.#last.push(line);
    if (this.#last.length > 2 * KEPT) this.#last = this.#last.slice(-KEPT);
    if (line.toLowerCase().includes(MARKER)) this.leaks.push(line);
    if (isAlarm(line)) this.alarms.push(line);
  }
}

function isAlarm(line: string): boolean {
  try {
    return (JSON.parse(line) as { level: number }).level >= 50;
  } catch {
    return true;
  }
}
