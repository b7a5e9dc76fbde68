/** One coordinator for each data folder: two would keep different balances of the same books in memory. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from './config.ts';

/** Takes the folder for this process and returns how to give it back. Throws `ConfigError` while another one runs. */
export function lockDataFolder(folder: string): () => void {
  const path = join(folder, 'coordinator.pid');
  const owner = ownerOf(path);
  if (owner !== undefined && owner !== process.pid && isRunning(owner))
    throw new ConfigError(
      `Another coordinator (process ${owner}) uses ${folder}. Stop it, or name another --data.`,
    );
  // Left by a crash, or not there.
  rmSync(path, { force: true });
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 });
  } catch {
    throw new ConfigError(`Another coordinator has just taken ${folder}. Stop it, or name another --data.`);
  }
  return () => rmSync(path, { force: true });
}

function ownerOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
