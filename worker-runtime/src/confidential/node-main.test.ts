/** The command as people meet it: what it says and how it ends. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodes } from './node-options.ts';
import { scriptedServer, type ScriptedServer } from './testing/scripted-server.ts';
import { embeddedWeights } from './upstream/embedded/embedded-facts.ts';

const main = fileURLToPath(new URL('./node-main.ts', import.meta.url));

let upstream: ScriptedServer;
beforeAll(async () => {
  upstream = await scriptedServer({
    'GET /v1/models': { data: [{ id: 'm' }] },
    'GET /props': { build_info: 'b1', default_generation_settings: { n_ctx: 512 } },
  });
});
afterAll(() => upstream.close());

async function run(...args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, errors };
}

const real = (executable: string, port: number) => [
  '--coordinator=http://127.0.0.1:9',
  `--upstream=http://127.0.0.1:${port}/v1`,
  `--upstream-executable=${executable}`,
  '--model=m',
  `--weights=${embeddedWeights}`,
  '--tee=tdx',
  '--image=test',
  '--no-gpu',
  '--price-prompt=1',
  '--price-completion=4',
];

describe('npm run node', () => {
  it('explains itself', async () => {
    const { code, out } = await run('--help');
    expect({ code, told: out.includes('--simulated') }).toEqual({ code: exitCodes.stopped, told: true });
  });

  it('says what is wrong with its arguments', async () => {
    const { code, errors } = await run('--coordinator', 'x');
    expect(code).toBe(exitCodes.usage);
    expect(errors).toContain('--coordinator is not the origin');
  });

  it('does not serve an upstream that is elsewhere', async () => {
    const { code, errors } = await run(...real('/x', upstream.to.port), '--upstream=http://192.0.2.1:8000');
    expect(code).toBe(exitCodes.upstream);
    expect(errors).toContain('not on this machine');
    expect(errors).toContain('"code":"upstream_not_local"');
  });

  it.runIf(process.platform === 'linux')('does not serve an upstream that is another program', async () => {
    const { code, errors } = await run(...real('/usr/bin/python3', upstream.to.port));
    expect(code).toBe(exitCodes.upstream);
    expect(errors).toContain('is not an upstream');
    expect(errors).toContain('"code":"upstream_not_allowed"');
  });

  it.runIf(process.platform === 'linux')('does not serve on a machine that gives no evidence', async () => {
    const { code, errors } = await run(...real(process.execPath, upstream.to.port));
    expect(code).toBe(exitCodes['no-evidence']);
    expect(errors).toContain('There is no attestation at');
    expect(errors).toContain('"code":"tsm_missing"');
    expect(errors).not.toContain('SIMULATED');
  });
});
