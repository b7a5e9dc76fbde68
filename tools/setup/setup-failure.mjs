/** What can go wrong before a command runs: a code, a sentence, and what to do about it. */
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export class SetupFailure extends Error {
  constructor(code, message, remedy) {
    super(message);
    this.name = 'SetupFailure';
    this.code = code;
    this.remedy = remedy;
  }
}

/** npm keeps its cache there and a browser its state; both fail without it in ways that are hard to read. */
export function checkHome() {
  const home = homedir();
  try {
    mkdirSync(home, { recursive: true });
    rmdirSync(mkdtempSync(join(home, '.tussah-')));
  } catch {
    throw new SetupFailure(
      'home_not_writable',
      `The home folder ${home} cannot be written.`,
      'Set HOME to a folder that this user may write, then run the command again.',
    );
  }
}
