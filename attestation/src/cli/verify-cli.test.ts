/** `npm run verify -- tdx|snp|gpu|bundle`, over files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hexOf } from '@tussah/protocol/bytes';
import { afterAll, describe, expect, it } from 'vitest';
import { toBase64 } from '../bytes/text-encodings.ts';
import { limits } from '../limits.ts';
import { makeBundle } from '../simulated/bundle.ts';
import { makeGpu } from '../simulated/gpu.ts';
import { makeSnp } from '../simulated/snp.ts';
import { makeTdx } from '../simulated/tdx.ts';
import { NOW, policy, world } from '../testing/world.ts';
import { main } from './verify-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-verify-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const json = (name: string, value: unknown) => file(name, JSON.stringify(value));

async function run(...args: string[]) {
  let [out, error] = ['', ''];
  const status = await main(args, { out: (text) => (out += text), error: (text) => (error += text) });
  return { status, out, error };
}

const at = ['--at', new Date(NOW).toISOString()];
const policyFile = ['--policy', json('policy.json', policy)];
const tdx = await makeTdx(world.intel);
const tdxFiles = [
  '--quote',
  file('quote', tdx.quote),
  '--collateral',
  json('collateral.json', tdx.collateral),
];
const snp = await makeSnp(world.amd);
const snpFiles = [
  '--report',
  file('report', snp.report),
  '--vcek',
  file('vcek', snp.vcek),
  '--chain',
  file('chain', snp.chain),
];
const crlFile = ['--crl', file('crl', snp.crl ?? '')];
const gpu = await makeGpu(world.nvidia);
const sdk = {
  certificate: toBase64(gpu.certificates),
  evidence: toBase64(gpu.report),
  nonce: hexOf(gpu.nonce),
};
const gpuFiles = ['--evidence', json('evidence.json', [sdk])];
const revocationFile = ['--revocation', json('revocation.json', gpu.revocation)];
const bundle = json('bundle.json', await makeBundle(world));

describe('npm run verify', () => {
  it.each([
    ['tdx', ['tdx', ...tdxFiles]],
    ['snp', ['snp', ...snpFiles, ...crlFile]],
    ['gpu', ['gpu', ...gpuFiles, ...revocationFile]],
    ['bundle', ['bundle', bundle]],
    ['flags before the kind', ['--json', 'bundle', bundle]],
  ])('accepts %s, and says that it is simulated', async (_, args) => {
    const { status, out } = await run(...args, ...at, ...policyFile);
    expect(status).toBe(0);
    expect(out).toMatch(
      args.includes('--json') ? /"simulated": true/ : /^SIMULATED[^]*\naccepted \(SIMULATED\)\n$/,
    );
  });

  it.each([
    ['tdx', ['tdx', ...tdxFiles]],
    ['snp', ['snp', ...snpFiles, ...crlFile]],
    ['gpu', ['gpu', ...gpuFiles, ...revocationFile]],
  ])('rejects simulated %s without a policy', async (_, args) => {
    const { status, out } = await run(...args, ...at);
    expect(status).toBe(1);
    expect(out).toContain('FAIL');
    expect(out).toMatch(/\nrejected \(SIMULATED\)\n$/);
  });

  it('rejects what is not revoked for certain', async () => {
    expect((await run('snp', ...snpFiles, ...at, ...policyFile)).status).toBe(1);
    const { status, out } = await run('gpu', ...gpuFiles, ...at, ...policyFile);
    expect(status).toBe(1);
    expect(out).toMatch(/is known \[gpu\.revocation\]: unchecked, but needed\n {8}remedy: /);
    expect(out).toContain('[gpu.ocsp.status]: unchecked\n');
  });

  it('prints verdict, steps and claims as JSON', async () => {
    const { out } = await run('tdx', ...tdxFiles, ...at, ...policyFile, '--json');
    const printed = JSON.parse(out) as Record<string, unknown>;
    expect(Object.keys(printed)).toEqual(['verdict', 'steps', 'claims']);
    expect(printed).toMatchObject({ verdict: 'accepted', claims: { kind: 'tdx', simulated: true } });
  });

  it('takes the present as the moment unless told otherwise', async () => {
    const { out } = await run('tdx', ...tdxFiles, ...policyFile, '--json');
    expect(out).not.toContain(new Date(NOW).toISOString());
  });

  it('reads quotes in hexadecimal and in JSON', async () => {
    const hex = file('quote.hex', `0x${hexOf(tdx.quote)}\n`);
    const dstack = json('quote.json', { quote: hexOf(tdx.quote) });
    for (const path of [hex, dstack])
      expect((await run('tdx', '--quote', path, ...tdxFiles.slice(2), ...at, ...policyFile)).status).toBe(0);
  });

  it('reads tokens by themselves and inside of what the SDK prints', async () => {
    const made = await makeGpu(world.nvidia, { nras: {} });
    const nras = made.revocation !== undefined && 'nras' in made.revocation ? made.revocation.nras : [];
    const evidence = json('evidence-2.json', [
      {
        ...sdk,
        evidence: toBase64(made.report),
        nonce: hexOf(made.nonce),
        certificate: toBase64(made.certificates),
      },
    ]);
    for (const path of [json('eat.json', nras), json('sdk.json', { detached_eat: nras })])
      expect(
        (await run('gpu', '--evidence', evidence, '--revocation', path, ...at, ...policyFile)).status,
      ).toBe(0);
  });

  it('verifies all GPUs of a file', async () => {
    const both = json('two.json', [sdk, { ...sdk, nonce: '00'.repeat(32) }]);
    const { status, out } = await run('gpu', '--evidence', both, ...revocationFile, ...at, ...policyFile);
    expect(status).toBe(1);
    expect(out).toContain('FAIL  The report answers the nonce [gpu-1.nonce]');
    expect(out).toContain('ok    The report answers the nonce [gpu-0.nonce]');
  });

  it.each([
    ['no kind', []],
    ['an unknown kind', ['sgx']],
    ['a file that is not there', ['tdx', '--quote', join(folder, 'none'), '--collateral', 'x']],
    ['a missing option', ['tdx', '--quote', 'x']],
    ['an unknown option', ['tdx', '--quotes', 'x']],
    ["another kind's option", ['tdx', ...tdxFiles, '--crl', 'x']],
    ['a file too many', ['tdx', 'x', ...tdxFiles]],
    ['two bundles', ['bundle', bundle, bundle, ...policyFile]],
    ['a bundle without a policy', ['bundle', bundle]],
    ['no bundle', ['bundle', ...policyFile]],
    ['a moment that is none', ['bundle', bundle, ...policyFile, '--at', 'yesterday']],
    ['a policy that is none', ['bundle', bundle, '--policy', json('bad.json', { version: 1 })]],
    ['a policy that is not JSON', ['bundle', bundle, '--policy', file('bad.txt', 'x')]],
    ['collateral that is not JSON', ['tdx', '--quote', 'x', '--collateral', file('bad.bin', '{')]],
    ['a bundle that is not text', ['bundle', file('bytes', Uint8Array.of(0xff)), ...policyFile]],
    ['a file too large', ['bundle', file('large', 'x'.repeat(limits.inputFileBytes + 1)), ...policyFile]],
    ['GPU evidence of another shape', ['gpu', '--evidence', json('o.json', {})]],
    ['GPU evidence that is not base64', ['gpu', '--evidence', json('p.json', [{ ...sdk, evidence: '*' }])]],
    ['revocation of another shape', ['gpu', ...gpuFiles, '--revocation', json('q.json', {})]],
  ])('can not judge %s', async (_, args) => {
    const { status, out, error } = await run(...args);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(error.trim().split('\n')).toHaveLength(2);
  });

  it('explains itself', async () => {
    expect(await run('--help')).toMatchObject({ status: 0, error: '' });
  });

  it('shows text from the input without control characters', async () => {
    const path = json('evil.json', await makeBundle(world, { statement: { image: '\u001b[2J' } }));
    const { out } = await run('bundle', path, ...at, ...policyFile);
    expect(out).not.toContain('\u001b');
    expect(out).toContain('\\u{1b}[2J');
  });
});
