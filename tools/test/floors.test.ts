/** The floors are kept: the checker sees through workspace names, type imports and `.svelte` files. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../setup/processes.ts';
import { staticChecks } from './checks.ts';

const files = {
  'package.json': '{"type":"module"}',
  'coordinator/package.json': '{"name":"@tussah/coordinator","type":"module","exports":{"./*":"./src/*.ts"}}',
  'coordinator/src/core/ledger.ts': 'export interface Entry { n: number }\nexport const ledger = 1;',
  'protocol/src/by-name.ts': "export { ledger } from '@tussah/coordinator/core/ledger';",
  'protocol/src/by-type.ts':
    "import type { Entry } from '../../coordinator/src/core/ledger.ts';\nexport type E = Entry;",
  'web/src/Page.svelte':
    '<script lang="ts">\n  import { ledger } from "@tussah/coordinator/core/ledger";\n</script>\n{ledger}',
  'bench/src/allowed.ts': "export { ledger } from '@tussah/coordinator/core/ledger';",
};
let folder = '';
let output = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-floors-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json'])
    cpSync(join(root, name), join(folder, name));
  mkdirSync(join(folder, 'node_modules/@tussah'), { recursive: true });
  symlinkSync(join(folder, 'coordinator'), join(folder, 'node_modules/@tussah/coordinator'), 'junction');
  const { script } = staticChecks.floors;
  const args = ['--config', '.dependency-cruiser.cjs', 'protocol', 'coordinator', 'web', 'bench'];
  output = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: folder,
    encoding: 'utf8',
  }).stdout;
}, 30_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('an import that goes up', () => {
  it.each(['protocol/src/by-name.ts', 'protocol/src/by-type.ts', 'web/src/Page.svelte'])(
    'is refused in %s',
    (file) => {
      expect(output).toContain(`${file} → coordinator/src/core/ledger.ts`);
    },
  );

  it('is told from one that goes down', () => {
    expect(output).not.toContain('bench/src/allowed.ts');
  });
});
