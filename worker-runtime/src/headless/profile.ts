/** The browser's profile: it keeps the contributor's key and the downloaded models, and one browser at a time can have it. */
import { mkdirSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

/** `.tussah/profiles/<name>` of this checkout. */
export const defaultProfile = (name = 'contribute'): string => join(repository, '.tussah', 'profiles', name);

export interface Profile {
  readonly dir: string;
  /** Deleted when it is closed. */
  readonly temporary: boolean;
  close(): void;
}

/** The profile at `dir`, or a temporary one where another browser has it. Throws where neither can be made. */
export function openProfile(dir: string): Profile {
  const path = resolve(dir);
  if (holderOf(path) !== undefined) return temporaryProfile();
  mkdirSync(path, { recursive: true });
  return { dir: path, temporary: false, close() {} };
}

export function temporaryProfile(): Profile {
  const dir = mkdtempSync(join(tmpdir(), 'tussah-profile-'));
  return {
    dir,
    temporary: true,
    // Chromium's last children may still write while it is removed.
    close: () => rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }),
  };
}

/**
 * Process id of the browser that has a profile: Chromium's `SingletonLock` is a link to `<host>-<pid>`. 0 when it is
 * another machine's; undefined when nobody has it, which includes a lock that a killed browser left behind.
 */
export function holderOf(dir: string): number | undefined {
  let target: string;
  try {
    target = readlinkSync(join(dir, 'SingletonLock'));
  } catch {
    return undefined;
  }
  const cut = target.lastIndexOf('-');
  const pid = Number(target.slice(cut + 1));
  if (target.slice(0, cut) !== hostname()) return 0;
  return Number.isSafeInteger(pid) && pid > 0 && isAlive(pid) ? pid : undefined;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
