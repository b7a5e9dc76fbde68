/** The whole hardware path against simulated vendors: a scripted kernel and `nvattest`, and their services on loopback. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gpuNonce, type Statement } from '@tussah/attestation/binding/statement';
import { toBase64 } from '@tussah/attestation/bytes/text-encodings';
import { newSimulatedWorld, simulatedImageName, simulatedPolicy } from '@tussah/attestation/simulated/bundle';
import { makeGpu } from '@tussah/attestation/simulated/gpu';
import { makeSnp } from '@tussah/attestation/simulated/snp';
import { makeTdx } from '@tussah/attestation/simulated/tdx';
import { parseOcspResponse } from '@tussah/attestation/x509/ocsp';
import { Verifier } from '@tussah/attestation/verify';
import { bytesOfHex, hexOf } from '@tussah/protocol/bytes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jsonLog } from '../log.ts';
import { scriptedKernel } from '../testing/scripted-kernel.ts';
import { scriptedNvattest } from '../testing/scripted-nvattest.ts';
import { CollateralCache } from './collateral/collateral-cache.ts';
import { fetchCollateral } from './collateral/fetch-bounded.ts';
import { pccsServices } from './collateral/tdx-collateral.ts';
import { HardwareAttester } from './hardware-attester.ts';

const NOW = Date.UTC(2026, 10, 1);
const world = await newSimulatedWorld(NOW);
const policy = simulatedPolicy(world);

const statement: Statement = {
  suite: 'x25519-hkdf-sha256-aes256gcm',
  hpkePublicKey: 'ab'.repeat(32),
  receiptKey: 'cd'.repeat(32),
  epochNonce: 'ef'.repeat(32),
  image: simulatedImageName,
  modelDigest: '12'.repeat(32),
  configDigest: '34'.repeat(32),
  notAfterMs: NOW + 3_600_000,
};
const gpu = await makeGpu(world.nvidia, { nonce: await gpuNonce(statement) });
const responses = gpu.revocation && 'ocsp' in gpu.revocation ? gpu.revocation.ocsp : [];
const { collateral } = await makeTdx(world.intel);
const snp = await makeSnp(world.amd);

interface Answer {
  readonly body: string | Uint8Array;
  readonly status?: number;
  readonly headers?: Record<string, string>;
}
type Answers = Map<string, Answer>;

/** What Intel's, AMD's and NVIDIA's services answer. */
function vendorAnswers(): Answers {
  const chain = { 'tcb-info-issuer-chain': encodeURIComponent(collateral.tcb_info_issuer_chain) };
  const qeChain = {
    'sgx-enclave-identity-issuer-chain': encodeURIComponent(collateral.qe_identity_issuer_chain),
  };
  const { tcb_info_signature: tcbSignature, qe_identity_signature: qeSignature } = collateral;
  return new Map([
    [
      '/tdx/certification/v4/tcb',
      { body: `{"tcbInfo":${collateral.tcb_info},"signature":"${tcbSignature}"}`, headers: chain },
    ],
    [
      '/tdx/certification/v4/qe/identity',
      {
        body: `{"enclaveIdentity":${collateral.qe_identity},"signature":"${qeSignature}"}`,
        headers: qeChain,
      },
    ],
    ['/sgx/certification/v4/pckcrl', { body: derOf(collateral.pck_crl) }],
    ['/sgx/certification/v4/rootcacrl', { body: hexOf(derOf(collateral.root_ca_crl)) }],
    ['/vcek/v1/Genoa/cert_chain', { body: snp.chain }],
    ['/vcek/v1/Genoa/crl', { body: snp.crl ?? '' }],
    ['vcek', { body: snp.vcek }],
  ]);
}

/** The simulated collateral has its CRLs in hexadecimal, base64 or PEM. */
function derOf(text: string): Uint8Array {
  const pem = /-----BEGIN X509 CRL-----([^-]*)-----END/.exec(text)?.[1];
  if (pem !== undefined) return Buffer.from(pem, 'base64');
  return bytesOfHex(text) ?? Buffer.from(text, 'base64');
}

let folder: string;
let server: Server;
let origin: string;
let answers: Answers;
let asked: string[];
let now: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-hardware-'));
  answers = vendorAnswers();
  asked = [];
  now = NOW;
  const serials = responses.map(
    (response) => parseOcspResponse(Buffer.from(response, 'base64')).answer.serial,
  );
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    asked.push(`${url.pathname}${url.search}`);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString('hex');
    const staple = serials.findIndex((serial) => body.includes(serial));
    if (request.method === 'POST') {
      response.end(staple < 0 ? '' : Buffer.from(responses[staple] ?? '', 'base64'));
      return;
    }
    const key = /^\/vcek\/v1\/Genoa\/[0-9a-f]{128}$/.test(url.pathname) ? 'vcek' : url.pathname;
    const answer = answers.get(key);
    if (answer === undefined) response.writeHead(404).end();
    else response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  };
  server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

function attester(kind: 'tdx' | 'snp', provider = kind === 'tdx' ? 'tdx_guest' : 'sev_guest') {
  const evidence = {
    arch: 'HOPPER',
    evidence: toBase64(gpu.report),
    certificate: toBase64(gpu.certificates),
  };
  const output = `print({ evidences: [{ ...${JSON.stringify(evidence)}, nonce }], result_code: 0 })`;
  const log: string[] = [];
  const report = async (inblob: Uint8Array) => {
    if (kind === 'snp') return (await makeSnp(world.amd, { reportData: inblob })).report;
    // Quoting libraries pad their quotes.
    const { quote } = await makeTdx(world.intel, { reportData: inblob });
    return Buffer.concat([quote, Buffer.alloc(12)]);
  };
  const made = new HardwareAttester({
    kind,
    image: simulatedImageName,
    nvattest: { executable: scriptedNvattest(folder, output) },
    tsmFolder: folder,
    tsmFiles: scriptedKernel({ provider, report }),
    tdx: pccsServices(origin),
    kds: origin,
    ocsp: origin,
    fetch: fetchCollateral,
    cache: new CollateralCache(
      () => now,
      jsonLog(kind, (line) => log.push(line)),
    ),
  });
  return { made, log };
}

async function verdictOn(text: string) {
  const expected = { epochNonce: statement.epochNonce, modelDigest: statement.modelDigest };
  const verdict = await new Verifier().verify({ kind: 'bundle', text, expected }, policy, NOW);
  const failed = verdict.steps.filter(({ status }) => status === 'failed').map(({ id }) => id);
  return { verdict: verdict.verdict, failed };
}

describe.each(['tdx', 'snp'] as const)('a bundle of %s', (kind) => {
  it('is accepted, with everything stapled', async () => {
    const { made } = attester(kind);
    expect(await made.check()).toEqual({ ok: true, value: true });
    const text = await made.attest(statement);
    if (!text.ok) throw new Error(text.failure.message);
    expect(await verdictOn(text.value)).toEqual({ verdict: 'accepted', failed: [] });
  });

  it('asks the vendors once for connections that are lost soon, and anew for the next epoch', async () => {
    const { made } = attester(kind);
    await made.attest(statement);
    const once = asked.length;
    now += 299_999;
    expect((await made.attest(statement)).ok).toBe(true);
    expect(asked).toHaveLength(once);
    now += 1;
    await made.attest(statement);
    expect(asked).toHaveLength(2 * once);
  });

  it('goes on with collateral of yesterday when the services are gone, not with older', async () => {
    const { made, log } = attester(kind);
    expect((await made.attest(statement)).ok).toBe(true);
    answers.clear();
    now += 86_400_000;
    expect((await made.attest(statement)).ok).toBe(true);
    expect(log.join()).toContain('collateral-kept');
    now += 1;
    expect(await made.attest(statement)).toMatchObject({ failure: { code: 'collateral_unavailable' } });
  });
});

it('asks Intel for the platform of the quote, and AMD for the chip and TCB of the report', async () => {
  await attester('tdx').made.attest(statement);
  expect(asked).toContainEqual(expect.stringMatching(/^\/tdx\/certification\/v4\/tcb\?fmspc=[0-9A-F]{12}$/));
  expect(asked).toContainEqual(expect.stringMatching(/pckcrl\?ca=(platform|processor)&encoding=der$/));
  await attester('snp').made.attest(statement);
  expect(asked).toContainEqual(
    expect.stringMatching(/^\/vcek\/v1\/Genoa\/[0-9a-f]{128}\?blSPL=10&teeSPL=02&snpSPL=23&ucodeSPL=84$/),
  );
});

describe('fails closed', () => {
  it('on another kind of machine', async () => {
    const { made } = attester('tdx', 'sev_guest');
    expect(await made.check()).toMatchObject({ failure: { code: 'wrong_machine' } });
  });

  it.each<[string, string, Answer]>([
    ['TCB info without its signature', '/tdx/certification/v4/tcb', { body: '{"tcbInfo":{}}' }],
    [
      'TCB info without its chain',
      '/tdx/certification/v4/tcb',
      { body: `{"tcbInfo":{},"signature":"${'00'.repeat(64)}"}` },
    ],
    [
      'a redirection',
      '/sgx/certification/v4/pckcrl',
      { body: '', status: 302, headers: { location: '/sgx/certification/v4/rootcacrl' } },
    ],
    ['an error', '/sgx/certification/v4/pckcrl', { body: '', status: 500 }],
    ['too much', '/sgx/certification/v4/pckcrl', { body: new Uint8Array(300_000) }],
  ])('on %s', async (_, path, answer) => {
    answers.set(path, answer);
    const result = await attester('tdx').made.attest(statement);
    expect(result).toMatchObject({ ok: false, failure: { code: expect.stringMatching(/^collateral_/) } });
  });
});
