/**
 * A kernel for configfs-tsm that a test writes: real folders and files below any root, as they are listed on a guest (each
 * report folder has generation, inblob, outblob, auxblob and provider), and a report made of what is written to `inblob`.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TsmFiles } from '../hardware/tsm-report.ts';

export interface KernelChanges {
  readonly provider?: string;
  readonly report?: (inblob: Uint8Array) => Promise<Uint8Array>;
  readonly auxblob?: Uint8Array;
  /** Writes by somebody else between ours. */
  readonly foreignWrites?: number;
  readonly generation?: string;
}

export function scriptedKernel(script: KernelChanges): TsmFiles {
  const { provider = 'tdx_guest', foreignWrites = 0, generation = '0', auxblob = new Uint8Array() } = script;
  const report = script.report ?? (() => Promise.resolve(new Uint8Array()));
  return {
    async mkdir(path) {
      await mkdir(path);
      await writeFile(join(path, 'generation'), `${generation}\n`);
      await writeFile(join(path, 'provider'), `${provider}\n`);
      await writeFile(join(path, 'auxblob'), auxblob);
    },
    readFile: (path) => readFile(path),
    async writeFile(path, bytes) {
      const folder = dirname(path);
      await writeFile(join(folder, 'outblob'), await report(bytes));
      const before = Number(await readFile(join(folder, 'generation'), 'utf8'));
      if (generation === '0') await writeFile(join(folder, 'generation'), `${before + 1 + foreignWrites}\n`);
    },
    rmdir: (path) => rm(path, { recursive: true }),
  };
}
