/** CPU time and memory of a process and all its descendants, as Linux tells them in /proc (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: the unit of times in /proc, 100 a second on every architecture Node runs on. */
const TICK_US = 10_000;

interface Stat {
  readonly parent: number;
  readonly ticks: number;
}

/** Undefined when the process has gone. */
function statOf(pid: number): Stat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // After the name, which may hold anything, parentheses included: state, parent, ..., utime (14th field), stime (15th).
  const fields = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = fields;
  const [user = 0, system = 0] = fields.slice(11, 13);
  return { parent, ticks: user + system };
}

function treeOf(root: number): Map<number, Stat> {
  const all = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined) all.set(Number(name), stat);
  }
  const tree = new Map<number, Stat>();
  const add = (pid: number): void => {
    const stat = all.get(pid);
    if (stat === undefined) return;
    tree.set(pid, stat);
    for (const [child, { parent }] of all) if (parent === pid) add(child);
  };
  add(root);
  return tree;
}

/** User and system time so far, in microseconds. */
export function cpuOf(root: number): number {
  let ticks = 0;
  for (const stat of treeOf(root).values()) ticks += stat.ticks;
  return ticks * TICK_US;
}

/** Resident memory in bytes; what processes share counts for each. */
export function residentBytesOf(root: number): number {
  let kibibytes = 0;
  for (const pid of treeOf(root).keys()) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    kibibytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  }
  return kibibytes * 1024;
}
