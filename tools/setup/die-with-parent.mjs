/**
 * Loaded with `--import` into the scripts that the tools start: when the tool is killed in a way that leaves it no time to
 * stop them, they notice that they were handed to another parent and end themselves.
 */
import { isMainThread } from 'node:worker_threads';

const parent = process.ppid;
const pollMs = 1000;
const graceMs = 10_000;

// Workers and forked processes inherit the option; only the script itself is meant.
if (isMainThread && process.env['TUSSAH_PARENT'] === String(parent)) {
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    setTimeout(() => process.kill(-process.pid, 'SIGKILL'), graceMs).unref();
    process.kill(process.pid, 'SIGTERM');
  }, pollMs);
  timer.unref();
}
