/** The files for operators are not run here; what can be checked of them is. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parsePolicy } from '@tussah/attestation/policy/policy';
import { describe, expect, it } from 'vitest';
import { readNodeOptions } from './node-options.ts';

const folder = fileURLToPath(new URL('../../../deploy/confidential', import.meta.url));
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

describe('the policy template', () => {
  const template = read('policy.template.json');

  it('is refused while anything in it is unset', () => {
    expect(parsePolicy(template).ok).toBe(false);
  });

  it('is a policy once its blanks are filled', () => {
    const filled = template
      .replaceAll(/"UNSET: 96 hex digits"/g, `"${'ab'.repeat(48)}"`)
      .replaceAll(/"UNSET: 64 hex digits"/g, `"${'ab'.repeat(32)}"`)
      .replaceAll(/"UNSET: [^"]*"/g, '"filled"');
    expect(parsePolicy(filled)).toMatchObject({ ok: true });
  });
});

it('compose starts the node with options that there are, and gives no value of its own for any', () => {
  const compose = read('compose.yaml');
  const command = compose.slice(compose.indexOf('  node:')).match(/^ {6}- --.*$/gm) ?? [];
  const values = {
    TEE: 'tdx',
    WALLET: 'A'.repeat(48),
    COORDINATOR: 'https://tussah.example',
    PRICE_PROMPT: '1',
    PRICE_COMPLETION: '4',
  };
  const args = command.map((line) =>
    line
      .replace('      - ', '')
      .replaceAll(/\$\{(\w+):\?[^}]*\}/g, (_, name: string) => values[name as keyof typeof values] ?? 'x'),
  );
  expect(args.length).toBeGreaterThan(8);
  expect(readNodeOptions(args)).toMatchObject({ ok: true, value: { hardware: { tee: 'tdx' } } });
  // Every variable is one that stops the start when it is missing.
  expect(compose.match(/\$\{\w+(?!:\?|\w)/g)).toBeNull();
});

it('pins nothing by a digest that nobody has resolved', () => {
  for (const name of ['Containerfile', 'compose.yaml', 'build.sh'])
    expect(read(name)).not.toMatch(/sha256:[0-9a-f]{64}/);
});
