/** TDX evidence that is wrong in one property at a time. */
import { describe, expect, it } from 'vitest';
import { DAY_MS } from '../simulated/certificates.ts';
import { simulatedPlatform } from '../simulated/tdx.ts';
import type { TdxChanges } from '../simulated/tdx-changes.ts';
import { simulatedTdxImage } from '../simulated/tdx-quote.ts';
import { module, newest, oldest, svn, v5, verdictOf } from '../testing/tdx.ts';
import { explained, failed, NOW, otherWorld } from '../testing/world.ts';

const none = new Uint8Array();
const unknownExtension = { id: '1.2.3.4', critical: true, value: none };

const wrong: [string, TdxChanges, string[]][] = [
  ['bytes behind the quote', { trailing: Uint8Array.of(0, 7) }, ['length']],
  ['another attestation key type', { header: { keyType: 3 } }, ['attestation-key-type']],
  ['another TEE', { header: { teeType: 0 } }, ['tee-type']],
  ["another vendor's quoting enclave", { header: { vendor: '00'.repeat(16) } }, ['qe-vendor']],
  [
    'a PCK chain of four',
    { pckChain: ([a, b, c]) => [a ?? none, b ?? none, c ?? none, c ?? none] },
    ['pck-chain.length', 'pck-chain.path-length'],
  ],
  ['another leaf', { pck: { commonName: 'Intel SGX PCK Certificat' } }, ['pck-chain.subject']],
  [
    'another authority',
    { authority: { commonName: 'X' }, pck: { issuerName: 'X' }, pckCrl: { issuerName: 'X' } },
    ['pck-chain.authority'],
  ],
  [
    'a leaf issued in another name',
    { pck: { issuerName: 'Intel SGX PCK Processor CA' } },
    ['pck-chain.names'],
  ],
  ['a leaf that is an authority', { pck: { ca: true } }, ['pck-chain.authorities']],
  [
    'an authority that is none',
    { authority: { ca: false, pathLength: undefined } },
    ['pck-chain.authorities'],
  ],
  [
    'a root with too short a path',
    { root: { pathLength: 0 } },
    ['pck-chain.root', 'pck-chain.path-length', 'tcb-chain.root', 'qe-chain.root'],
  ],
  ['an authority that must not sign certificates', { authority: { usage: [6] } }, ['pck-chain.key-usage']],
  [
    'an authority without key usage',
    { authority: { usage: undefined } },
    ['pck-chain.key-usage', 'pck-crl.issuer'],
  ],
  ['a leaf that must not sign', { pck: { usage: [1] } }, ['pck-chain.key-usage']],
  [
    'a critical extension that is unknown',
    { authority: { extensions: [unknownExtension] } },
    ['pck-chain.extensions'],
  ],
  ['a PCK that is not valid yet', { pck: { notBeforeMs: NOW + DAY_MS } }, ['pck-chain.dates']],
  ['a PCK that has ended', { pck: { notAfterMs: NOW - DAY_MS } }, ['pck-chain.dates']],
  [
    'a PCK signed by another authority',
    { pck: { issuerKey: otherWorld.intel.authorityKey } },
    ['pck-chain.signatures'],
  ],
  ['a PCK without the SGX extension', { pck: { extensions: [] } }, ['pck-chain.platform']],
  ["a root's CRL by another", { rootCrl: { issuerName: 'X' } }, ['root-crl.issuer']],
  ["a root's CRL that has ended", { rootCrl: { nextUpdateMs: NOW - 1000 } }, ['root-crl.dates']],
  [
    "a root's CRL from the future",
    { rootCrl: { thisUpdateMs: NOW + 1000 } },
    ['root-crl.dates', 'collateral-age'],
  ],
  [
    "a root's CRL wrongly signed",
    { rootCrl: { issuerKey: otherWorld.intel.rootKey } },
    ['root-crl.signature'],
  ],
  ["a PCK authority's CRL by another", { pckCrl: { issuerName: 'X' } }, ['pck-crl.issuer']],
  ["a PCK authority's CRL that has ended", { pckCrl: { nextUpdateMs: NOW - 1000 } }, ['pck-crl.dates']],
  [
    "a PCK authority's CRL wrongly signed",
    { pckCrl: { issuerKey: otherWorld.intel.authorityKey } },
    ['pck-crl.signature'],
  ],
  ['an authority that must not sign CRLs', { authority: { usage: [5] } }, ['pck-crl.issuer']],
  ['a revoked PCK', { pckCrl: { revoked: [9, 4] } }, ['pck-chain.leaf-revocation']],
  ['a revoked PCK authority', { rootCrl: { revoked: [2] } }, ['pck-chain.authority-revocation']],
  ['a revoked TCB signer', { rootCrl: { revoked: [3] } }, ['tcb-chain.revocation', 'qe-chain.revocation']],
  [
    'a TCB signer in another name',
    { signer: { commonName: 'Intel SGX PCK Certificate' } },
    ['tcb-chain.subject', 'qe-chain.subject'],
  ],
  ['a TCB chain of three', { tcbChain: ([a, b]) => [a ?? none, b ?? none, b ?? none] }, ['tcb-chain.length']],
  ['a TCB signer that has ended', { signer: { notAfterMs: NOW - 1 } }, ['tcb-chain.dates', 'qe-chain.dates']],
  [
    'a TCB signer signed by another',
    { signer: { issuerKey: otherWorld.intel.rootKey } },
    ['tcb-chain.signatures', 'qe-chain.signatures'],
  ],
  [
    'TCB info below another root',
    { tcbChain: ([a]) => [a ?? none, otherWorld.intel.root] },
    ['tcb-chain.root', 'tcb-chain.signatures', 'one-root'],
  ],
  [
    'a QE identity below another root',
    { qeChain: ([a]) => [a ?? none, otherWorld.intel.root] },
    ['qe-chain.root', 'qe-chain.signatures', 'one-root'],
  ],
  ['TCB info wrongly signed', { tcbInfoKey: otherWorld.intel.signerKey }, ['tcb-info.signature']],
  ['a QE identity wrongly signed', { qeIdentityKey: otherWorld.intel.signerKey }, ['qe-identity.signature']],
  ['TCB info of another version', { tcbInfo: { version: 2 } }, ['tcb-info.format', 'collateral-age']],
  [
    'TCB info of no such day',
    { tcbInfo: { issueDate: '2026-02-30T00:00:00Z' } },
    ['tcb-info.format', 'collateral-age'],
  ],
  [
    'TCB info with a component above one byte',
    {
      tcbInfo: {
        tcbLevels: [
          {
            ...newest,
            tcb: { ...newest?.tcb, tdxtcbcomponents: Array.from({ length: 16 }, () => ({ svn: 256 })) },
          },
        ],
      },
    },
    ['tcb-info.format', 'collateral-age'],
  ],
  [
    'a module with a status that modules do not have',
    {
      tcbInfo: {
        tdxModuleIdentities: [
          { ...module, tcbLevels: [{ ...module?.tcbLevels[0], tcbStatus: 'ConfigurationNeeded' }] },
        ],
      },
    },
    ['tcb-info.format', 'collateral-age'],
  ],
  ['TCB info for SGX', { tcbInfo: { id: 'SGX' } }, ['tcb-info.format', 'collateral-age']],
  [
    'TCB info with an unknown status',
    { tcbInfo: { tcbLevels: [{ ...newest, tcbStatus: 'Fine' }] } },
    ['tcb-info.format', 'collateral-age'],
  ],
  ['TCB info that has ended', { tcbInfo: { nextUpdate: '2026-10-31T00:00:00Z' } }, ['tcb-info.dates']],
  [
    'TCB info from the future',
    { tcbInfo: { issueDate: '2026-11-02T00:00:00Z' } },
    ['tcb-info.dates', 'collateral-age'],
  ],
  ['TCB info for another family', { tcbInfo: { fmspc: 'B0C06F000001' } }, ['tcb-info.fmspc']],
  ['TCB info for another PCE', { tcbInfo: { pceId: '0001' } }, ['tcb-info.pce-id']],
  [
    'a QE identity of another enclave',
    { qeIdentity: { id: 'QE' } },
    ['qe-identity.format', 'collateral-age'],
  ],
  [
    'a QE identity that has ended',
    { qeIdentity: { nextUpdate: '2026-10-31T00:00:00Z' } },
    ['qe-identity.dates'],
  ],
  [
    'a QE report signed by another platform',
    { qeReportKey: otherWorld.intel.pckKey },
    ['qe-report.signature'],
  ],
  ['a QE report about another key', { qeReport: { reportData: new Uint8Array(64) } }, ['qe-report.binding']],
  ['another MISCSELECT', { qeReport: { miscSelect: Uint8Array.of(1, 0, 0, 0) } }, ['qe-report.misc-select']],
  ['a QE in debug mode', { qeReport: { attributes: Uint8Array.of(0x13) } }, ['qe-report.attributes']],
  ['another QE signer', { qeReport: { mrSigner: new Uint8Array(32) } }, ['qe-report.signer']],
  ['another QE product', { qeReport: { isvProdId: 1 } }, ['qe-report.product']],
  ['a quote signed by another key', { quoteKey: otherWorld.intel.attestationKey }, ['quote.signature']],
  [
    'a component below every level',
    { platform: { components: [1, ...simulatedPlatform.components.slice(1)] } },
    ['tcb.platform'],
  ],
  ['a PCE below every level', { platform: { pceSvn: 4 } }, ['tcb.platform']],
  ['a TDX component below every level', { body: { teeTcbSvn: svn(6, 1, 1) } }, ['tcb.platform']],
  ['a platform out of date', { platform: { pceSvn: 12 } }, ['tcb.status']],
  ['a first module below every level', { body: { teeTcbSvn: svn(4, 0, 3) } }, ['tcb.platform']],
  ['a quoting enclave below every level', { qeReport: { isvSvn: 0 } }, ['tcb.qe']],
  ['a quoting enclave out of date', { qeReport: { isvSvn: 3 } }, ['tcb.status']],
  ['a module that Intel does not know', { body: { teeTcbSvn: svn(6, 9, 3) } }, ['module.identity']],
  ['a module by another signer', { body: { mrSignerSeam: new Uint8Array(48).fill(1) } }, ['module.signer']],
  [
    'a module with attributes that the collateral does not look at',
    {
      body: { seamAttributes: svn(1).slice(0, 8) },
      tcbInfo: { tdxModuleIdentities: [{ ...module, attributesMask: '00'.repeat(8) }] },
    },
    ['module.attributes'],
  ],
  [
    'a module identity with attributes',
    { tcbInfo: { tdxModuleIdentities: [{ ...module, attributes: '01'.repeat(8) }] } },
    ['module.attributes'],
  ],
  ['a module with attributes', { body: { seamAttributes: svn(1).slice(0, 8) } }, ['module.attributes']],
  ['a module below every level', { body: { teeTcbSvn: svn(1, 1, 3) } }, ['module.level']],
  ['a module out of date', { body: { teeTcbSvn: svn(3, 1, 3) } }, ['tcb.status']],
  ['a module replaced by an older one', { ...v5, body: { teeTcbSvn2: svn(3, 1, 3) } }, ['tcb.status']],
  ['a module replaced by an unknown one', { ...v5, body: { teeTcbSvn2: svn(3, 2, 3) } }, ['module.identity']],
  [
    'a revoked level',
    { tcbInfo: { tcbLevels: [{ ...newest, tcbStatus: 'Revoked' }, oldest] } },
    ['tcb.status'],
  ],
  [
    'a revoked module',
    {
      tcbInfo: {
        tdxModuleIdentities: [
          {
            ...module,
            tcbLevels: [{ tcb: { isvsvn: 0 }, tcbDate: '2024-03-13T00:00:00Z', tcbStatus: 'Revoked' }],
          },
        ],
      },
    },
    ['tcb.status'],
  ],
  ['a TD in debug mode', { body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } }, ['td.debug']],
  [
    'a TD whose host can inject exceptions',
    { body: { tdAttributes: new Uint8Array(8) } },
    ['td.sept-ve-disable'],
  ],
  [
    'a TD that can be moved',
    { body: { tdAttributes: Uint8Array.of(0, 0, 0, 0x30, 0, 0, 0, 0) } },
    ['td.attributes'],
  ],
  ['a TD without SSE', { body: { xfam: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } }, ['td.xfam']],
  ['a TD with an unknown feature', { body: { xfam: Uint8Array.of(3, 4, 0, 0, 0, 0, 0, 0) } }, ['td.xfam']],
  [
    'a TD with a feature above all known ones',
    { body: { xfam: Uint8Array.of(3, 0, 0, 0, 1, 0, 0, 0) } },
    ['td.xfam'],
  ],
  ['a TD with a service TD', { ...v5, body: { mrServiceTd: new Uint8Array(48).fill(1) } }, ['td.service']],
  ['collateral of an old evaluation', { tcbInfo: { tcbEvaluationDataNumber: 16 } }, ['evaluation-number']],
  [
    'a QE identity of an old evaluation',
    { qeIdentity: { tcbEvaluationDataNumber: 16 } },
    ['evaluation-number'],
  ],
  ['TCB info older than allowed', { tcbInfo: { issueDate: '2026-09-30T12:00:00Z' } }, ['collateral-age']],
  ['a CRL older than allowed', { rootCrl: { thisUpdateMs: NOW - 31 * DAY_MS } }, ['collateral-age']],
  ['another MRTD', { image: { mrTd: 'd2'.repeat(48) } }, ['image']],
  [
    'another RTMR0',
    { image: { rtmr: ['ff'.repeat(48), ...simulatedTdxImage.rtmr.slice(1)] as never } },
    ['image'],
  ],
  [
    'another RTMR3',
    { image: { rtmr: [...simulatedTdxImage.rtmr.slice(0, 3), 'ff'.repeat(48)] as never } },
    ['image'],
  ],
  ['another MRCONFIGID', { image: { mrConfigId: '01'.repeat(48) } }, ['image']],
  ['another MROWNER', { image: { mrOwner: '01'.repeat(48) } }, ['image']],
  ['another MROWNERCONFIG', { image: { mrOwnerConfig: '01'.repeat(48) } }, ['image']],
  ['other report data', { reportData: new Uint8Array(64) }, ['report-data']],
];

describe('TDX evidence that is wrong in one thing is rejected at that step', () => {
  it.each(wrong)('%s', async (_, changes, ids) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict).sort()).toEqual(ids.map((id) => `tdx.${id}`).sort());
    expect(verdict.verdict).toBe('rejected');
    expect(explained(verdict)).toBe(true);
  });
});
