/** The files for operators are not run here; what can be checked of them is. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parsePolicy } from '@tussah/attestation/policy/policy';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readNodeOptions } from './node-options.ts';

const folder = fileURLToPath(new URL('../../../deploy/confidential', import.meta.url));
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

describe('the policy template', () => {
  const template = read('policy.template.json');

  it('is refused while anything in it is unset', () => {
    expect(parsePolicy(template).ok).toBe(false);
  });

  it('has no value that only its publisher can know', () => {
    expect(template).not.toMatch(/[0-9a-f]{64}/);
    expect(template.match(/"(?:bootloader|tee|snp|microcode|fmc|evaluationNumberMin)": \d/g)).toBeNull();
  });

  it('is a policy once its blanks are filled', () => {
    const filled = template
      .replaceAll(/"UNSET: 96 hex digits"/g, `"${'ab'.repeat(48)}"`)
      .replaceAll(/"UNSET: 64 hex digits"/g, `"${'ab'.repeat(32)}"`)
      .replaceAll(/"UNSET: a number[^"]*"/g, '1')
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

describe('build.sh', () => {
  const pinned = `sha256:${'ab'.repeat(32)}`;
  const given = {
    NODE_TAG: 'docker.io/library/node:24-slim',
    UPSTREAM_TAG: 'registry.example:5000/vllm:v1',
    NVATTEST_TAG: 'registry.example/nvattest:v1',
    UPSTREAM_EXECUTABLE: '/usr/bin/python3.12',
  };

  /** In a copy of the folder, with scripts in the place of git, skopeo and podman. */
  function build(changes: Record<string, string> = {}, digest = pinned, commit = 'echo c0ffee') {
    const work = mkdtempSync(join(tmpdir(), 'tussah-deploy-'));
    onTestFinished(() => rmSync(work, { recursive: true }));
    const tool = (name: string, script: string) =>
      writeFileSync(join(work, name), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
    cpSync(join(folder, 'build.sh'), join(work, 'build.sh'));
    tool('git', `case "$1" in rev-parse) ${commit};; *) tar -c build.sh;; esac`);
    tool('skopeo', `echo '${digest}'`);
    tool('podman', `for last; do :; done; echo "$@" $(ls "$last") > args; echo ${pinned} > node.iid`);
    const env = { PATH: `${work}:/usr/bin:/bin`, ...given, ...changes };
    const { status, stderr } = spawnSync('/bin/sh', [join(work, 'build.sh')], { env, encoding: 'utf8' });
    const readMade = (name: string) =>
      existsSync(join(work, name)) ? readFileSync(join(work, name), 'utf8') : undefined;
    return { status, stderr, args: readMade('args'), written: readMade('digests.env') };
  }

  it('writes what it has resolved, and from which sources', () => {
    const { status, args, written } = build();
    expect(status).toBe(0);
    expect(args).toContain(`NODE_IMAGE=docker.io/library/node@${pinned}`);
    // What git has, and not the folder with all that lies in it.
    expect(args?.trim().split(' ').at(-1)).toBe('build.sh');
    expect(written?.trim().split('\n')).toEqual([
      'SOURCE_COMMIT=c0ffee',
      `UPSTREAM_IMAGE=registry.example:5000/vllm@${pinned}`,
      'UPSTREAM_EXECUTABLE=/usr/bin/python3.12',
      `NODE_IMAGE_BUILT=${pinned}`,
    ]);
  });

  it.each(Object.keys(given))('builds nothing without %s', (name) => {
    const { status, stderr, args, written } = build({ [name]: '' });
    expect(status).not.toBe(0);
    expect(stderr).toContain(name);
    expect([args, written]).toEqual([undefined, undefined]);
  });

  it.each([
    ['no digest', build.bind(null, {}, 'latest')],
    ['an image without a tag', build.bind(null, { NODE_TAG: 'registry.example:5000/node' })],
    ['sources of no commit', build.bind(null, {}, pinned, 'exit 128')],
  ])('builds nothing from %s', (_, run) => {
    const { status, args, written } = run();
    expect(status).not.toBe(0);
    expect([args, written]).toEqual([undefined, undefined]);
  });
});

it('pins nothing by a digest that nobody has resolved', () => {
  for (const name of ['Containerfile', 'compose.yaml', 'build.sh'])
    expect(read(name)).not.toMatch(/sha256:[0-9a-f]{64}/);
});
