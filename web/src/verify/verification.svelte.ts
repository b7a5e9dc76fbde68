/** What lies before the Verify page, and what was found. It is forgotten with the page's tab; nothing leaves the browser. */
import type { Failure } from '@tussah/protocol/errors';
import { announcer } from '../app/announcer.svelte.ts';
import { deskBroken } from '../private/desk-broken.ts';
import { privateTier } from '../private/private-tier.svelte.ts';
import { verifyLimits, type Findings, type Item } from './findings.ts';

class Verification {
  items: readonly Item[] = $state.raw([]);
  findings: Findings = $state.raw([]);
  busy: boolean = $state(false);
  failure: Failure | null = $state.raw(null);
  /** As the form has it: local date and time, or nothing for now. */
  moment: string = $state('');
  #nextId = 1;
  #turn = 0;

  async addFiles(files: readonly File[]): Promise<void> {
    for (const file of files) {
      if (file.size > verifyLimits.bytes) {
        this.#refuse(
          `${file.name} is larger than ${verifyLimits.bytes / 1_048_576} MiB.`,
          'Give a smaller file.',
        );
        continue;
      }
      const text = await readText(file);
      if (text === undefined) this.#refuse(`${file.name} is not text.`, 'Give a JSON file.');
      else this.#put(file.name, text);
    }
    await this.examine();
  }

  async addText(text: string): Promise<void> {
    if (text.length > verifyLimits.bytes)
      this.#refuse(`The text is longer than ${verifyLimits.bytes / 1_048_576} MiB.`, 'Give a smaller one.');
    else this.#put('Pasted text', text);
    await this.examine();
  }

  async remove(id: number): Promise<void> {
    this.items = this.items.filter((item) => item.id !== id);
    await this.examine();
  }

  clear(): void {
    this.#turn += 1;
    this.items = [];
    this.findings = [];
    this.failure = null;
    this.busy = false;
  }

  /** Everything again: what one item is worth depends on the others, on the policy and on the moment. */
  async examine(): Promise<void> {
    const turn = ++this.#turn;
    if (this.items.length === 0) {
      this.findings = [];
      return;
    }
    this.busy = true;
    const findings = await privateTier.examine({
      items: this.items,
      policy: privateTier.policy?.text ?? '',
      atMs: momentOf(this.moment),
    });
    if (turn !== this.#turn) return;
    this.busy = false;
    if (findings === undefined) {
      this.failure = privateTier.failure ?? deskBroken;
      return;
    }
    this.findings = findings;
    announcer.say(`${findings.length === 1 ? 'One thing' : `${findings.length} things`} examined.`);
  }

  #put(name: string, text: string): void {
    if (this.items.length >= verifyLimits.items)
      return this.#refuse(`There are ${verifyLimits.items} things already.`, 'Remove one first.');
    this.failure = null;
    this.items = [...this.items, { id: this.#nextId++, name, text }];
  }

  #refuse(message: string, remedy: string): void {
    this.failure = { code: 'not_taken', message, remedy };
    announcer.alert(`${message} ${remedy}`);
  }
}

/** Null for now, which is meant where nothing, or nothing readable, is in the form. */
function momentOf(text: string): number | null {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? null : ms;
}

async function readText(file: File): Promise<string | undefined> {
  try {
    // The very bytes count: a byte order mark is part of what is hashed.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await file.arrayBuffer());
  } catch {
    return undefined;
  }
}

export const verification = new Verification();
