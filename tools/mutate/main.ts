/**
 * `npm run mutate -- attestation`: leaves each check of the package out, and turns it round, one at a time, and sees whether
 * a test fails. Prints those that no test noticed; exit 1 if there is one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { instrument, type Mutant } from './instrument.ts';
import { tests, type Test } from './stand-in.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Folders of a package whose code is not under test by itself. */
const aside = /\/(testing|suites|simulated|cli)\/|\.test\.ts$/;
/** Suites that need files from elsewhere, or that try bytes at random: what they find has a test of its own. */
const leftOut = /\/(vectors|flips|mutations|verify-cli)(\.browser)?\.test\.ts$|\.browser\.test\.ts$/;
/** A mutant that makes a loop endless counts as noticed. */
const HANG_MS = 20_000;

const packages: readonly string[] = ['attestation'];

const [name = ''] = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
async function main(): Promise<number> {
  if (!packages.includes(name)) {
    console.error(`Usage: npm run mutate -- NAME, where NAME is one of: ${packages.join(', ')}`);
    return 2;
  }
  const mutants: Mutant[] = [];
  const active = installSwitch();
  hookModules(mutants);
  for (const file of filesBelow(join(root, name, 'src')))
    if (file.endsWith('.test.ts') && !leftOut.test(file)) await import(pathToFileURL(file).href);
  const reach = await baseline(active);
  if (reach === undefined) return 1;
  console.log(`${tests.length} tests pass; ${mutants.length} mutants`);
  const survivors: Mutant[] = [];
  for (const mutant of mutants) {
    if (!(await isNoticed(mutant, reach.get(mutant.id) ?? [], active))) survivors.push(mutant);
    if (mutant.id % 100 === 99)
      console.error(`${mutant.id + 1} of ${mutants.length}, ${survivors.length} survived`);
  }
  for (const { file, line, change, text } of survivors)
    console.log(
      `survived  ${file}:${line}  ${change === 'inverted' ? 'inverted' : `always ${change}`}  ${text}`,
    );
  console.log(`${mutants.length} mutants, survivors ${survivors.length}`);
  return survivors.length === 0 ? 0 : 1;
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

/** The package's code with switches in it, and our own stand-in for vitest. */
function hookModules(mutants: Mutant[]): void {
  const source = `${join(root, name, 'src')}/`;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'vitest'
        ? { url: new URL('./stand-in.ts', import.meta.url).href, shortCircuit: true }
        : next(specifier, context),
    load: (url, context, next) => {
      const path = url.startsWith('file:') ? fileURLToPath(url) : '';
      if (!path.startsWith(source) || aside.test(path)) return next(url, context);
      const text = instrument(readFileSync(path, 'utf8'), relative(root, path), mutants);
      return { format: 'module-typescript', source: text, shortCircuit: true };
    },
  });
}

interface Active {
  mutant: number;
  /** Mutants whose condition was evaluated since it was cleared. */
  readonly reached: Set<number>;
}

const results = {
  t: () => true,
  f: () => false,
  i: (condition: unknown) => !condition,
} as const;

function installSwitch(): Active {
  const active: Active = { mutant: -1, reached: new Set() };
  const globals = globalThis as {
    tussahMutant?: (first: number, codes: string, condition: unknown) => unknown;
  };
  globals.tussahMutant = (first, codes, condition) => {
    for (let i = 0; i < codes.length; i++) active.reached.add(first + i);
    const code = codes[active.mutant - first];
    return code === undefined ? condition : results[code as keyof typeof results](condition);
  };
  return active;
}

/** Runs every test without a mutant. Returns which tests reach which mutant, the quickest first. */
async function baseline(active: Active): Promise<ReadonlyMap<number, readonly Test[]> | undefined> {
  const reach = new Map<number, { test: Test; ms: number }[]>();
  for (const test of tests) {
    active.reached.clear();
    const startMs = performance.now();
    try {
      await test.run();
    } catch (error) {
      console.error(`fails without any mutant: ${test.name}\n${String(error)}`);
      return undefined;
    }
    const ms = performance.now() - startMs;
    for (const id of active.reached) reach.set(id, [...(reach.get(id) ?? []), { test, ms }]);
  }
  return new Map(
    [...reach].map(([id, found]) => [id, found.sort((a, b) => a.ms - b.ms).map(({ test }) => test)]),
  );
}

async function isNoticed(mutant: Mutant, reaching: readonly Test[], active: Active): Promise<boolean> {
  active.mutant = mutant.id;
  try {
    for (const test of reaching) {
      if (await fails(test)) return true;
    }
    return false;
  } finally {
    active.mutant = -1;
  }
}

async function fails(test: Test): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<true>((resolve) => (timer = setTimeout(() => resolve(true), HANG_MS)));
  const run = Promise.resolve()
    .then(test.run)
    .then(
      () => false,
      () => true,
    );
  const failed = await Promise.race([run, hang]);
  clearTimeout(timer);
  return failed;
}

process.exitCode = await main();
