/** The parsers of reports, quotes, tokens and logs: what breaks their rules is refused by name. */
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../bytes/byte-reader.ts';
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { toBase64 } from '../bytes/text-encodings.ts';
import { readCcel } from '../event-log/ccel.ts';
import { replay } from '../event-log/replay.ts';
import { limits } from '../limits.ts';
import { parseToken } from '../nvidia/jwt.ts';
import { parseSpdmReport } from '../nvidia/spdm.ts';
import * as der from '../simulated/der-writer.ts';
import { u16, u32 } from '../simulated/fixed-bytes.ts';
import { makeGpu } from '../simulated/gpu.ts';
import { makeSnp } from '../simulated/snp.ts';
import { makeTdx } from '../simulated/tdx.ts';
import { parseSnpReport } from '../snp/report.ts';
import { vcekPlatform } from '../snp/vcek.ts';
import { pckPlatform } from '../tdx/pck-extension.ts';
import { parseQuote } from '../tdx/quote.ts';
import { failed, NOW, policy, world } from '../testing/world.ts';
import { Verifier, type Evidence } from '../verify.ts';
import type { Certificate } from '../x509/certificate.ts';
import { readCertificates } from '../x509/read-certificates.ts';

const without = (bytes: Bytes, n: number) => bytes.subarray(0, bytes.length - n);

describe('reading bytes', () => {
  it('never goes past the end', () => {
    expect(() => new ByteReader(new Uint8Array(3)).u32('x')).toThrow('x: 4 bytes wanted at 0, 3 left');
    const reader = new ByteReader(Uint8Array.of(1, 2, 3, 4, 5, 6));
    expect([reader.u8('x'), reader.u16('x'), reader.u24('x'), reader.left]).toEqual([1, 0x302, 0x60504, 0]);
  });
});

const { report } = await makeGpu(world.nvidia);

describe('SPDM reports', () => {
  /** Offsets: request 0 to 36, response header 37 to 44, blocks of 55 bytes from 45 on. */
  it.each([
    ['another version', 0, 0x12, 'request: not of SPDM 1.1'],
    ['another request', 1, 0xe1, 'not GET_MEASUREMENTS'],
    ['no signature asked for', 2, 0, 'no signature'],
    ['one measurement asked for', 3, 1, 'not for all'],
    ['another request slot', 36, 1, 'request: not of slot 0'],
    ['another response version', 37, 0x10, 'response: not of SPDM 1.1'],
    ['another response', 38, 0x7f, 'not MEASUREMENTS'],
    ['another response slot', 40, 1, 'response: not of slot 0'],
    ['another number of blocks', 41, 63, '64 measurements instead of 63'],
    ['a measurement twice', 45 + 55, 1, 'measurement 1: twice'],
    ['another specification', 46, 2, 'not as DMTF specifies'],
    ['two sizes', 47, 52, 'two different sizes'],
  ])('%s', (_, at, value, problem) => {
    expect(() => parseSpdmReport(report.with(at, value))).toThrow(problem);
  });
  it('of another length', () => {
    expect(() => parseSpdmReport(concatBytes(report, Uint8Array.of(0)))).toThrow('behind the signature');
    expect(() => parseSpdmReport(without(report, 1))).toThrow('signature: 96 bytes wanted');
    expect(() => parseSpdmReport(new Uint8Array(limits.spdmBytes + 1))).toThrow('larger than');
  });
  it('with an opaque field twice', () => {
    // The last opaque field, 36, with its two bytes, stands right before the signature.
    const at = report.length - 96 - 6;
    expect(report[at]).toBe(36);
    expect(() => parseSpdmReport(report.with(at, 21))).toThrow('opaque field 21: twice');
  });
});

const [four, five] = await Promise.all([
  makeTdx(world.intel),
  makeTdx(world.intel, { version: 5, newer: true }),
]);
const [pck] = readCertificates(parseQuote(four.quote).pckChain);
const { vcek } = await makeSnp(world.amd);
const [leaf] = readCertificates(vcek);

describe('quotes', () => {
  const quote = four.quote;
  const chain = quote.length - parseQuote(quote).pckChain.length;
  const data = 48 + 584 + 4;
  it.each([
    ['of version 3', quote.with(0, 3), 'version 3 is unknown'],
    ['of an unknown body', five.quote.with(48, 1), 'body type 1 of 648 bytes'],
    ['of a body of another size', five.quote.with(50, 0x48), 'body type 3'],
    ['of unknown certification data', quote.with(data + 128, 5), 'certification data of type 5'],
    [
      'of certification data of another size',
      quote.with(data + 130, (quote[data + 130] ?? 0) ^ 1),
      'does not fill the signature data',
    ],
    ['of an unknown PCK chain', quote.with(chain - 6, 4), 'PCK certification data of type 4'],
    [
      'of a PCK chain of another size',
      quote.with(chain - 4, (quote[chain - 4] ?? 0) ^ 1),
      'does not fill the certification data',
    ],
    ['cut off', without(quote, 1), 'signature data'],
    ['too large', new Uint8Array(limits.quoteBytes + 1), 'larger than'],
  ])('%s are refused', (_, input, problem) => {
    expect(() => parseQuote(input)).toThrow(problem);
  });
});

describe('platform extensions', () => {
  if (pck === undefined || leaf === undefined) throw new Error('certificates were expected');
  const SGX = '1.2.840.113741.1.13.1';
  const AMD = '1.3.6.1.4.1.3704.1';
  const changed = (certificate: Certificate, id: string, value: Bytes): Certificate => ({
    ...certificate,
    extensions: new Map([...certificate.extensions, [id, { critical: false, value }]]),
  });
  const pair = (id: string, value: Uint8Array) => der.sequence(der.oidOf(id), value);
  const tcb = (first: number, last: number) =>
    der.sequence(
      ...[first, ...new Uint8Array(15), last].map((svn, i) => pair(`${SGX}.2.${i + 1}`, der.integer(svn))),
    );
  const sgx = (ppidBytes: number, first = 0, last = 0, ...more: Uint8Array[]) =>
    der.sequence(
      pair(`${SGX}.1`, der.octetString(new Uint8Array(ppidBytes))),
      pair(`${SGX}.2`, tcb(first, last)),
      pair(`${SGX}.3`, der.octetString(new Uint8Array(2))),
      pair(`${SGX}.4`, der.octetString(new Uint8Array(6))),
      ...more,
    );
  it("of Intel's are read, or refused", () => {
    expect(pckPlatform(changed(pck, SGX, sgx(16, 0xff, 0xffff)))).toMatchObject({ pceSvn: 0xffff });
    expect(() => pckPlatform(changed(pck, SGX, sgx(16, 0x100)))).toThrow('component 1 above 255');
    expect(() => pckPlatform(changed(pck, SGX, sgx(16, 0, 0x10000)))).toThrow('component 17 above 65535');
    expect(() => pckPlatform(changed(pck, SGX, sgx(15)))).toThrow('15 bytes instead of 16');
    expect(() =>
      pckPlatform(changed(pck, SGX, sgx(16, 0, 0, pair(`${SGX}.4`, der.octetString(new Uint8Array(6)))))),
    ).toThrow('twice');
    expect(() => pckPlatform(changed(pck, SGX, sgx(16, 0, 0, pair('1.2.3.4', der.derNull()))))).toThrow(
      'does not belong',
    );
    expect(() => pckPlatform(changed(pck, SGX, der.sequence()))).toThrow('no member 2');
  });
  it("of AMD's are read, or refused", () => {
    expect(vcekPlatform(leaf)).toMatchObject({ product: 'Genoa' });
    expect(() => vcekPlatform(changed(leaf, `${AMD}.2`, der.octetString(utf8('Genoa'))))).toThrow(
      'not an IA5String',
    );
    expect(() =>
      vcekPlatform(changed(leaf, `${AMD}.3.1`, concatBytes(der.integer(1), der.integer(1)))),
    ).toThrow('unknown members');
  });
  it('reports of another length are refused', () => {
    expect(() => parseSnpReport(new Uint8Array(0x49f))).toThrow('instead of 1184');
    expect(() => parseSnpReport(new Uint8Array(0x4a1))).toThrow('instead of 1184');
  });
});

describe('tokens', () => {
  const base64Url = (text: string) =>
    toBase64(utf8(text)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  it.each([
    ['of two parts', 'a.b', 'three parts'],
    ['of four parts', `${base64Url('{"alg":"ES384"}')}.e30.AA.AA`, 'three parts'],
    ['whose header is no text', '_w.e30.AA', 'not UTF-8'],
    ['whose header is no JSON', 'AAAA.e30.AA', 'not JSON'],
    ['without algorithm', `${base64Url('{}')}.e30.AA`, 'token header: alg'],
    ['with something critical', `${base64Url('{"alg":"ES384","crit":[]}')}.e30.AA`, 'critical'],
    ['too long', 'x'.repeat(limits.tokenCharacters + 1), 'too long'],
    ['whose signature is not base64url', `${base64Url('{"alg":"ES384"}')}.e30.*`, 'not base64url'],
  ])('%s are refused', (_, token, problem) => {
    expect(() => parseToken(token)).toThrow(problem);
  });

  it('of no GPU, or of too many, are refused', async () => {
    const { revocation, ...made } = await makeGpu(world.nvidia, { nras: {} });
    if (revocation === undefined || !('nras' in revocation)) throw new Error('tokens were expected');
    const [overall, gpus] = revocation.nras;
    const many = Object.fromEntries(
      Array.from({ length: limits.gpus + 1 }, (_, i) => [`GPU-${i}`, gpus['GPU-0'] ?? '']),
    );
    for (const submodules of [{}, many]) {
      const evidence: Evidence = { kind: 'gpu', ...made, revocation: { nras: [overall, submodules] } };
      expect(failed(await new Verifier().verify(evidence, policy, NOW))).toEqual([
        'gpu.revocation',
        'gpu.collateral-age',
      ]);
    }
  });
});

describe('the CCEL', () => {
  const spec = (signature = 'Spec ID Event03\0', algorithms = [[0x0c, 48]]) =>
    concatBytes(
      utf8(signature),
      new Uint8Array(8),
      u32(algorithms.length),
      ...algorithms.flatMap(([id = 0, size = 0]) => [u16(id), u16(size)]),
      Uint8Array.of(0),
    );
  const header = (specification: Bytes, type = 3) =>
    concatBytes(u32(1), u32(type), new Uint8Array(20), u32(specification.length), specification);
  const digest = new Uint8Array(48).fill(9);
  const event = (
    register: number,
    type = 6,
    digests: readonly Bytes[] = [concatBytes(u16(0x0c), digest)],
    count = digests.length,
  ) => concatBytes(u32(register), u32(type), u32(count), ...digests, u32(2), Uint8Array.of(1, 2));
  const log = (...events: readonly Bytes[]) =>
    concatBytes(header(spec()), ...events, u32(0xffffffff), new Uint8Array(9).fill(0xff));

  it('is read up to its end, and replayed', async () => {
    const events = readCcel(log(event(1), event(4), event(1, 3)));
    expect(events).toMatchObject([{ register: 0, name: '0x6', named: false }, { register: 3 }]);
    const [first] = await replay(events.slice(0, 1));
    const wanted = await crypto.subtle.digest('SHA-384', concatBytes(new Uint8Array(48), digest));
    expect(first).toEqual(new Uint8Array(wanted));
    expect(readCcel(concatBytes(header(spec()), event(2)))).toHaveLength(1);
  });
  it('knows no fifth register', async () => {
    await expect(replay([{ register: 4, digest, name: '', named: false, payload: digest }])).rejects.toThrow(
      'RTMR4',
    );
  });
  const sha256 = [0x0b, 32];
  it.each([
    ['of MRTD', log(event(0)), 'no register 0'],
    ['of a fifth register', log(event(5)), 'no register 5'],
    ['that begins otherwise', concatBytes(header(spec(), 1)), 'begin with its specification'],
    ['of another format', concatBytes(header(spec('Spec ID Event02\0'))), 'crypto-agile'],
    [
      'of nine algorithms',
      concatBytes(
        header(
          spec(
            undefined,
            Array.from({ length: 9 }, (_, i) => [i, 48]),
          ),
        ),
      ),
      'too many algorithms',
    ],
    ['without SHA-384', concatBytes(header(spec(undefined, [sha256]))), 'without SHA-384'],
    ['with SHA-384 of another size', concatBytes(header(spec(undefined, [[0x0c, 32]]))), 'without SHA-384'],
    [
      'with more digests than algorithms',
      log(event(1, 6, [concatBytes(u16(0x0c), digest), concatBytes(u16(0x0c), digest)])),
      'more digests',
    ],
    ['with an unknown algorithm', log(event(1, 6, [concatBytes(u16(4), digest)])), 'unknown algorithm 4'],
    ['with an event without SHA-384', log(event(1, 6, [], 0)), 'without SHA-384 digest'],
    [
      'with too many events',
      log(...Array.from({ length: limits.events + 1 }, () => event(1))),
      'more than 8192',
    ],
    ['with something behind its end', concatBytes(log(event(1)), Uint8Array.of(0)), 'behind its end'],
    ['that is cut off', concatBytes(header(spec()), event(1), u16(1)), 'register: 4 bytes wanted'],
    ['too large', new Uint8Array(limits.eventLogBytes + 1), 'larger than'],
  ])('%s is refused', (_, input, problem) => {
    expect(() => readCcel(input)).toThrow(problem);
  });
});
