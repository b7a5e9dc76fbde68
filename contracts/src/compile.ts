/**
 * Compiles the Tolk contracts. `node contracts/src/compile.ts` prints their code hashes; what is expected is in
 * ../code-hashes.json, which a test compares.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cell } from '@ton/core';
import { runTolkCompiler } from '@ton/tolk-js';

export const contractNames = ['channel', 'vault'] as const;
export type ContractName = (typeof contractNames)[number];

const folder = join(import.meta.dirname, 'tolk');
const compiled = new Map<ContractName, Promise<Cell>>();

/** The contract's code cell; compiled once a process. Throws with the compiler's message. */
export function compile(name: ContractName): Promise<Cell> {
  let code = compiled.get(name);
  if (code === undefined) compiled.set(name, (code = compileSource(name, readSource)));
  return code;
}

/** `readSource` gives the text of a file of `src/tolk`, so that a caller can try other text. */
export async function compileSource(name: ContractName, read: (file: string) => string): Promise<Cell> {
  const result = await runTolkCompiler({ entrypointFileName: `${name}.tolk`, fsReadCallback: read });
  if (result.status === 'error') throw new Error(result.message);
  return Cell.fromBase64(result.codeBoc64);
}

/** The text of a file of `src/tolk`. */
export const readSource = (file: string): string => readFileSync(join(folder, file), 'utf8');

/** Hex hash of each contract's code. */
export async function codeHashes(): Promise<Record<ContractName, string>> {
  const [channel, vault] = await Promise.all(contractNames.map(compile));
  return { channel: hashOf(channel!), vault: hashOf(vault!) };
}

const hashOf = (code: Cell): string => code.hash().toString('hex');

if (import.meta.main) process.stdout.write(`${JSON.stringify(await codeHashes(), null, 2)}\n`);
