/** GPU evidence that is wrong in one property at a time. */
import { describe, expect, it } from 'vitest';
import { utf8 } from '../bytes/bytes.ts';
import { DAY_MS } from '../simulated/certificates.ts';
import { integer, octetString, oidOf, sequence } from '../simulated/der-writer.ts';
import type { GpuChanges } from '../simulated/gpu.ts';
import { verdictOf } from '../testing/gpu.ts';
import { explained, failed, NOW, otherWorld } from '../testing/world.ts';

const none = new Uint8Array();
const unknownExtension = { id: '1.2.3.4', critical: true, value: none };
const SECONDS = Math.floor(NOW / 1000);
const chainClaim = (status: string, ocsp: string) => ({
  'x-nvidia-gpu-attestation-report-cert-chain': {
    'x-nvidia-cert-status': status,
    'x-nvidia-cert-ocsp-status': ocsp,
  },
});
const responderExtensions = (purpose: string) => [{ id: '2.5.29.37', value: sequence(oidOf(purpose)) }];
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const fwidExtension = (value: Uint8Array<ArrayBuffer>) => ({
  certificates: { 0: { extensions: [{ id: '2.23.133.5.4.1', value }] } },
});
const fwidWith = (version: number, algorithm: string, ...more: Uint8Array[]) =>
  fwidExtension(
    sequence(
      integer(version),
      sequence(),
      sequence(oidOf(algorithm), octetString(new Uint8Array(48).fill(0xf1)), ...more),
    ),
  );
const SHA384 = '2.16.840.1.101.3.4.2.2';

const wrong: [string, GpuChanges, string[]][] = [
  ['a chain of four', { chain: (all) => all.slice(0, 4) }, ['chain.length', 'chain.root', 'chain.names']],
  [
    'a chain of two',
    { chain: (all) => all.slice(0, 2) },
    ['chain.length', 'chain.root', 'chain.names', 'ocsp.coverage', 'collateral-age'],
  ],
  ['another root', { certificates: { 4: { serial: 77 } } }, ['chain.root']],
  ['a leaf issued in another name', { certificates: { 0: { issuerName: 'X' } } }, ['chain.names']],
  ['a leaf that is an authority', { certificates: { 0: { ca: true } } }, ['chain.authorities']],
  ['a device that is no authority', { certificates: { 1: { ca: undefined } } }, ['chain.authorities']],
  ['a path too long', { certificates: { 3: { pathLength: 1 } } }, ['chain.path-length']],
  ['a device that must not sign certificates', { certificates: { 1: { usage: [6] } } }, ['chain.key-usage']],
  [
    'a critical extension that is unknown',
    { certificates: { 2: { extensions: [unknownExtension] } } },
    ['chain.extensions'],
  ],
  ['a leaf that is not valid yet', { certificates: { 0: { notBeforeMs: NOW + DAY_MS } } }, ['chain.dates']],
  [
    'a leaf signed by another device',
    { certificates: { 0: { issuerKey: otherWorld.nvidia.responderKey } } },
    ['chain.signatures'],
  ],
  ['a report signed by another device', { reportKey: otherWorld.nvidia.responderKey }, ['report.signature']],
  ['other firmware than certified', { fwid: new Uint8Array(48) }, ['fwid']],
  ['other firmware than reported', { opaque: { 20: new Uint8Array(48) } }, ['fwid']],
  ['a leaf without FWID', { certificates: { 0: { extensions: [] } } }, ['fwid.format']],
  ['an FWID of another version', fwidWith(2, SHA384), ['fwid.format']],
  ['an FWID of another hash', fwidWith(1, '2.16.840.1.101.3.4.2.1'), ['fwid.format']],
  ['an FWID with more in it', fwidWith(1, SHA384, integer(1)), ['fwid.format']],
  ['no FWID in the report', { opaque: { 20: undefined } }, ['device']],
  ['no driver in the report', { opaque: { 3: undefined } }, ['device']],
  ['a driver that is no version', { opaque: { 3: utf8('x\0') } }, ['device']],
  ['no VBIOS in the report', { opaque: { 6: undefined } }, ['device']],
  ['a VBIOS of another size', { opaque: { 6: new Uint8Array(7) } }, ['device']],
  ['a mode that is unknown', { opaque: { 36: Uint8Array.of(3, 0) } }, ['mode']],
  ['a mode whose second byte is set', { opaque: { 36: Uint8Array.of(0, 1) } }, ['mode']],
  ['two modes that contradict each other', { opaque: { 21: Uint8Array.of(0xaa) } }, ['mode']],
  ['two modes that contradict each other, the other way', { opaque: { 36: Uint8Array.of(2, 0) } }, ['mode']],
  ['a mode that is neither on nor off', { opaque: { 21: Uint8Array.of(0) } }, ['mode']],
  ['no mode', { opaque: { 21: undefined } }, ['mode']],
  ['an OCSP answer missing', { covered: [1, 3] }, ['ocsp.coverage']],
  ['a revoked certificate', { ocsp: { status: 'revoked' } }, ['ocsp.status']],
  ['an unknown certificate', { ocsp: { status: 'unknown' } }, ['ocsp.status']],
  [
    'OCSP answers of the hour before that do not say when the next ones come',
    { ocsp: { thisUpdateMs: NOW - 3_601_000, nextUpdateMs: null } },
    ['ocsp.dates'],
  ],
  ['OCSP answers that have ended', { ocsp: { nextUpdateMs: NOW - 1000 } }, ['ocsp.dates']],
  ['OCSP answers from the future', { ocsp: { thisUpdateMs: NOW + 1000 } }, ['ocsp.dates', 'collateral-age']],
  ['OCSP answers wrongly signed', { ocsp: { key: otherWorld.nvidia.responderKey } }, ['ocsp.signature']],
  ['OCSP answers in another name', { ocsp: { responderName: 'X' } }, ['ocsp.responder', 'ocsp.signature']],
  [
    'a responder for another purpose',
    { ocsp: { responder: { extensions: responderExtensions('1.3.6.1.5.5.7.3.1') } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  [
    'a responder of another issuer',
    { ocsp: { responder: { issuerName: 'X' } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  [
    'a responder signed by another',
    { ocsp: { responder: { issuerKey: otherWorld.nvidia.responderKey } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  [
    'a responder that has ended',
    { ocsp: { responder: { notAfterMs: NOW - 1000 } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  [
    'a responder that must not sign',
    { ocsp: { responder: { usage: [6] } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  [
    'a responder without key usage',
    { ocsp: { responder: { usage: undefined } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  [
    'a responder with an unknown critical extension',
    { ocsp: { responder: { extensions: [...responderExtensions(OCSP_SIGNING), unknownExtension] } } },
    ['ocsp.responder', 'ocsp.signature'],
  ],
  ['OCSP responses that say: try later', { ocsp: { responseStatus: 3 } }, ['revocation', 'collateral-age']],
  ['no OCSP response at all', { covered: [] }, ['ocsp.coverage', 'collateral-age']],
  ['OCSP answers older than allowed', { ocsp: { thisUpdateMs: NOW - 31 * DAY_MS } }, ['collateral-age']],
  ['tokens without signature', { nras: { header: { alg: 'none' } } }, ['nras.algorithm']],
  ['tokens with another algorithm', { nras: { header: { alg: 'HS256' } } }, ['nras.algorithm']],
  ['tokens by an unknown key', { nras: { header: { kid: 'other' } } }, ['nras.key']],
  ['tokens without key id', { nras: { header: { kid: undefined } } }, ['nras.key']],
  [
    'tokens with a critical header member',
    { nras: { header: { crit: ['b64'] } } },
    ['revocation', 'collateral-age'],
  ],
  ['tokens wrongly signed', { nras: { key: otherWorld.nvidia.tokenKey } }, ['nras.signature']],
  [
    'an overall token by another issuer',
    { nras: { overall: { iss: 'https://example.org' } } },
    ['nras.issuer'],
  ],
  ["a GPU's token by another issuer", { nras: { gpu: { iss: 'https://example.org' } } }, ['nras.issuer']],
  ['tokens that have ended', { nras: { overall: { exp: SECONDS } } }, ['nras.dates']],
  ["a GPU's token that has ended", { nras: { gpu: { exp: SECONDS - 1 } } }, ['nras.dates']],
  ['tokens that are not valid yet', { nras: { gpu: { nbf: SECONDS + 1 } } }, ['nras.dates']],
  ['tokens from the future', { nras: { overall: { iat: SECONDS + 1 } } }, ['nras.dates', 'collateral-age']],
  ['an overall token about another nonce', { nras: { overall: { eat_nonce: '00' } } }, ['nras.nonce']],
  ["a GPU's token about another nonce", { nras: { gpu: { eat_nonce: '00' } } }, ['nras.nonce']],
  ["an overall token about another GPU's token", { nras: { digest: '00'.repeat(32) } }, ['nras.submodule']],
  ['an overall token without submodules', { nras: { overall: { submods: {} } } }, ['nras.submodule']],
  ['a token about another GPU', { nras: { gpu: { ueid: '7' } } }, ['nras.device', 'collateral-age']],
  ['an overall failure', { nras: { overall: { 'x-nvidia-overall-att-result': false } } }, ['nras.result']],
  [
    'an overall result that is no boolean',
    { nras: { overall: { 'x-nvidia-overall-att-result': 'true' } } },
    ['nras.claims', 'collateral-age'],
  ],
  ['measurements that were wrong', { nras: { gpu: { measres: 'fail' } } }, ['nras.measurements']],
  ['debugging enabled', { nras: { gpu: { dbgstat: 'enabled' } } }, ['nras.debug']],
  ['no secure boot', { nras: { gpu: { secboot: false } } }, ['nras.secure-boot']],
  ['a claim missing', { nras: { gpu: { secboot: undefined } } }, ['nras.claims', 'collateral-age']],
  ['a certificate on hold', { nras: { gpu: chainClaim('revoked', 'revoked') } }, ['nras.revocation']],
  [
    'a certificate whose chain is invalid',
    { nras: { gpu: chainClaim('expired', 'good') } },
    ['nras.revocation'],
  ],
  [
    'a certificate of unknown revocation',
    { nras: { gpu: chainClaim('valid', 'unknown') } },
    ['nras.revocation'],
  ],
  ['tokens older than allowed', { nras: { gpu: { iat: SECONDS - 31 * 86_400 } } }, ['collateral-age']],
  ['another driver', { opaque: { 3: utf8('590.13\0') } }, ['firmware']],
  ['another VBIOS', { opaque: { 6: Uint8Array.of(0, 0xa5, 0, 0x96, 2, 0, 0, 0) } }, ['firmware']],
  ['another measurement', { measurements: { 64: new Uint8Array(48) } }, ['measurements']],
  [
    'another measurement of a decoder that is on',
    { measurements: { 36: new Uint8Array(48) }, opaque: { 11: Uint8Array.of(0xaa) } },
    ['measurements'],
  ],
  ['a measurement of another size', { measurements: { 1: new Uint8Array(32) } }, ['report']],
];

describe('GPU evidence that is wrong in one thing is rejected at that step', () => {
  it.each(wrong)('%s', async (_, changes, ids) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict).sort()).toEqual(ids.map((id) => `gpu.${id}`).sort());
    expect(verdict.verdict).toBe('rejected');
    expect(explained(verdict)).toBe(true);
  });
});
