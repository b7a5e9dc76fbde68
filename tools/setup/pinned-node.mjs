/** Finds the Node that runs TypeScript directly: the pinned one that came with the packages, else this one if new enough. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure } from './setup-failure.mjs';

const minimumMajor = 24;

/** Path of the executable. Throws `SetupFailure` with code `node_too_old`. */
export function findNode(root) {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const binary = process.platform === 'win32' ? 'node.exe' : 'node';
  const pinned = join(root, 'node_modules', `node-${platform}-${process.arch}`, 'bin', binary);
  // It is linked against glibc, so that being there does not mean that it runs.
  if (existsSync(pinned) && spawnSync(pinned, ['--version'], { stdio: 'ignore' }).status === 0) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= minimumMajor) return process.execPath;
  throw new SetupFailure(
    'node_too_old',
    `This needs Node ${minimumMajor}; here is ${process.versions.node}, and no Node package for ${platform}-${process.arch} could be installed.`,
    `Install Node ${minimumMajor} or newer, then run the command again.`,
  );
}
