/** Portkey and LiteLLM, installed for this bench alone into a folder that git ignores. They are no dependencies of ours. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

export const PORTKEY = '1.15.2';
/** Portkey allows any 1.x of this, but fails from 1.14.2 on: "TypeError: immutable". */
export const NODE_SERVER = '1.14.1';
export const LITELLM = '1.106.2';

const cache = resolve(import.meta.dirname, '../../../.tussah/peers');
const INSTALL_TIMEOUT_MS = 10 * 60_000;
const run = promisify(execFile);

/** Installs a package once; a folder is whole when it holds the mark. Returns the folder. */
async function once(
  name: string,
  say: (line: string) => void,
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cache, name);
  const mark = join(folder, 'installed');
  if (existsSync(mark)) return folder;
  say(`installing ${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await install(folder);
  writeFileSync(mark, '');
  return folder;
}

async function step(command: string, args: string[], remedy: string): Promise<void> {
  try {
    await run(command, args, { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    const lines = (stderr === '' ? message : stderr).trim().split('\n');
    throw new Error(`${lines.at(-1) ?? ''} ${remedy}`, { cause: error });
  }
}

/** The gateway's server script. */
export async function installPortkey(say: (line: string) => void): Promise<string> {
  const folder = await once(`portkey-${PORTKEY}-${NODE_SERVER}`, say, (prefix) => {
    const dependencies = { '@portkey-ai/gateway': PORTKEY };
    const overrides = { '@hono/node-server': NODE_SERVER };
    writeFileSync(join(prefix, 'package.json'), JSON.stringify({ private: true, dependencies, overrides }));
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund'];
    return step('npm', ['install', '--prefix', prefix, ...flags], 'It needs the npm registry.');
  });
  return join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');
}

/** The proxy's command. */
export async function installLiteLlm(say: (line: string) => void): Promise<string> {
  const folder = await once(`litellm-${LITELLM}`, say, async (venv) => {
    await step('python3', ['-m', 'venv', venv], 'It needs Python 3.10 or newer with venv.');
    const pip = ['install', '--quiet', '--disable-pip-version-check', `litellm[proxy]==${LITELLM}`];
    await step(join(venv, 'bin/pip'), pip, 'It needs PyPI.');
  });
  return join(folder, 'bin/litellm');
}
