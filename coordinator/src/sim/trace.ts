/** The last steps before a failure, in a line each. */
import type { Effect, TimedEvent } from '../core/events.ts';

const KEPT = 40;

interface Entry {
  readonly step: number;
  readonly event: TimedEvent;
  readonly effects: readonly Effect[];
}

export class Trace {
  readonly #kept: Entry[] = [];
  #next = 0;

  push(step: number, event: TimedEvent, effects: readonly Effect[]): void {
    if (event.type === 'tick' && effects.length === 0) return;
    this.#kept[this.#next++ % KEPT] = { step, event, effects };
  }

  text(): string {
    return this.#kept
      .toSorted((a, b) => a.step - b.step)
      .map(({ step, event, effects }) => {
        const did = effects.map(brief).join(', ');
        return `  ${step} @${event.atMs} ${brief(event)}${did === '' ? '' : ` -> ${did}`}`;
      })
      .join('\n');
  }
}

/** An event or effect by its type and the ids in it. */
function brief(of: TimedEvent | Effect): string {
  const about: string[] = [of.type];
  const visit = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'type' && depth > 0) about.push(String(inner));
      else if (names.has(key)) about.push(typeof inner === 'string' ? inner.slice(0, 16) : String(inner));
      else if (depth < 2) visit(inner, depth + 1);
    }
  };
  visit(of, 0);
  return about.join(' ');
}

const names = new Set([
  'jobId',
  'connectionId',
  'publicKey',
  'kind',
  'code',
  'reason',
  'position',
  'valid',
  'resume',
  'outcome',
  'state',
]);
