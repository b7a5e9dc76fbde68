/**
 * A lock file among processes of one machine. Whoever holds it touches it while alive, so that one left behind by a
 * crash is recognised by its age, or sooner by its process being gone.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';

const beatMs = 2000;
const staleMs = 20_000;
const pollMs = 250;

/** Runs `work` while holding the lock; waits for it, and calls `onWait` with the holder's process id once if it has to. */
export async function withLock(path, { onWait, work }) {
  let waited = false;
  for (;;) {
    const release = tryLock(path);
    if (release !== undefined)
      try {
        return await work();
      } finally {
        release();
      }
    if (!waited) onWait(read(path)?.pid);
    waited = true;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Takes the lock and returns the function that gives it back, or undefined while another process holds it. */
export function tryLock(path) {
  const token = randomUUID();
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), token });
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (!removeStale(path)) return undefined;
      continue;
    }
    return hold(path, token);
  }
  return undefined;
}

function hold(path, token) {
  const beat = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(path, now, now);
    } catch {
      // Taken over: this process was asleep for too long. Its work goes on, nothing is left to touch.
    }
  }, beatMs);
  beat.unref();
  const release = () => {
    clearInterval(beat);
    process.off('exit', release);
    if (read(path)?.token === token) unlinkSync(path);
  };
  process.on('exit', release);
  return release;
}

/** Whether the way is free now. Two may find the same lock stale: the one that moves a younger lock away puts it back. */
function removeStale(path) {
  const holder = read(path);
  if (holder === undefined || !isStale(path, holder)) return holder === undefined && !exists(path);
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (read(aside)?.token !== holder.token) linkSync(aside, path);
    unlinkSync(aside);
  } catch {
    return false;
  }
  return true;
}

function isStale(path, holder) {
  try {
    if (Date.now() - statSync(path).mtimeMs > staleMs) return true;
  } catch {
    return false;
  }
  return holder.host === hostname() && !isAlive(holder.pid);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

const exists = (path) => statSync(path, { throwIfNoEntry: false }) !== undefined;

/** Undefined where there is no lock; an empty holder where one is just being written. */
function read(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const { pid, host, token } = JSON.parse(text);
    return { pid, host, token };
  } catch {
    return { pid: undefined, host: undefined, token: undefined };
  }
}
