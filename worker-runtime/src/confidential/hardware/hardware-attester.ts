/** Evidence of a real machine: GPUs first, then a quote or report over the statement and theirs, then everything stapled. */
import { gpuNonce, reportData, type Statement } from '@tussah/attestation/binding/statement';
import type { Bundle } from '@tussah/attestation/bundle/bundle';
import { fromBase64, toBase64 } from '@tussah/attestation/bytes/text-encodings';
import { Malformed } from '@tussah/attestation/malformed';
import { parseQuote } from '@tussah/attestation/tdx/quote';
import { sha256Hex } from '@tussah/protocol/bytes';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { Attester } from '../ports.ts';
import type { CollateralCache } from './collateral/collateral-cache.ts';
import type { FetchCollateral } from './collateral/fetch-bounded.ts';
import { fetchGpuOcsp } from './collateral/gpu-ocsp.ts';
import { fetchSnpCollateral } from './collateral/snp-collateral.ts';
import { fetchTdxCollateral, type TdxServices } from './collateral/tdx-collateral.ts';
import { collectGpuEvidence, type GpuEvidence, type NvattestOptions } from './nvattest.ts';
import { tsmReport, type TsmFiles, type TsmReport } from './tsm-report.ts';

export interface HardwareSettings {
  readonly kind: 'tdx' | 'snp';
  readonly image: string;
  /** Null for machines without a GPU. */
  readonly nvattest: NvattestOptions | null;
  readonly tsmFolder: string;
  readonly tsmFiles: TsmFiles;
  readonly tdx: TdxServices;
  readonly kds: string;
  readonly ocsp: string;
  readonly fetch: FetchCollateral;
  readonly cache: CollateralCache;
}

const providerOf = { tdx: 'tdx_guest', snp: 'sev_guest' } as const;

export class HardwareAttester implements Attester {
  readonly kind: 'tdx' | 'snp';
  readonly image: string;
  readonly #settings: HardwareSettings;

  constructor(settings: HardwareSettings) {
    this.kind = settings.kind;
    this.image = settings.image;
    this.#settings = settings;
  }

  /** Asks the hardware once, for a report that nobody will see. */
  async check(): Promise<Result<true>> {
    const report = await this.#report(new Uint8Array(64));
    if (!report.ok) return report;
    const gpus = await this.#gpus(new Uint8Array(32));
    return gpus.ok ? ok(true) : gpus;
  }

  async attest(statement: Statement): Promise<Result<string>> {
    try {
      return await this.#bundle(statement);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return fail({
        code: 'evidence_malformed',
        message: `This machine’s evidence can’t be read: ${error.message}.`,
        remedy: 'Compare the versions of firmware, driver and nvattest with those that the runbook names.',
      });
    }
  }

  async #bundle(statement: Statement): Promise<Result<string>> {
    const gpus = await this.#gpus(await gpuNonce(statement));
    if (!gpus.ok) return gpus;
    const stapled = await this.#staple(gpus.value);
    if (!stapled.ok) return stapled;
    const digests = gpus.value.map(({ report }) => sha256Hex(fromBase64(report, 'GPU report')));
    const report = await this.#report(await reportData(statement, digests));
    if (!report.ok) return report;
    const machine = await this.#machine(report.value);
    if (!machine.ok) return machine;
    const bundle: Bundle = { version: 1, statement, machine: machine.value, gpus: stapled.value };
    const text = JSON.stringify(bundle);
    return text.length <= privateLimits.bundleCharacters ? ok(text) : fail(tooLarge);
  }

  async #gpus(nonce: Uint8Array): Promise<Result<readonly GpuEvidence[]>> {
    const { nvattest } = this.#settings;
    return nvattest === null ? ok([]) : collectGpuEvidence(nonce, nvattest);
  }

  async #staple(gpus: readonly GpuEvidence[]): Promise<Result<Bundle['gpus']>> {
    const { cache, ocsp, fetch } = this.#settings;
    const stapled: Bundle['gpus'] = [];
    for (const { report, certificates } of gpus) {
      // The leaf is made anew for each session of the device; what is asked about are those above it.
      const chain = fromBase64(certificates, 'GPU certificates');
      const responses = await cache.get(`ocsp ${sha256Hex(chain)}`, () => fetchGpuOcsp(chain, ocsp, fetch));
      if (!responses.ok) return responses;
      stapled.push({ report, certificates, revocation: { ocsp: [...responses.value] } });
    }
    return ok(stapled);
  }

  async #report(data: Uint8Array): Promise<Result<TsmReport>> {
    const { tsmFolder, tsmFiles } = this.#settings;
    const report = await tsmReport(data, tsmFolder, tsmFiles);
    if (!report.ok || report.value.provider === providerOf[this.kind]) return report;
    return fail({
      code: 'wrong_machine',
      message: `This machine’s reports come from ${report.value.provider}, not from ${providerOf[this.kind]}.`,
      remedy: 'Give --tee tdx or --tee snp, whichever it is.',
    });
  }

  async #machine({ outblob }: TsmReport): Promise<Result<Bundle['machine']>> {
    const { cache, tdx, kds, fetch } = this.#settings;
    if (this.kind === 'tdx') {
      // Whatever stands behind the quote is not signed, and is refused by verifiers.
      const quote = outblob.slice(0, outblob.length - parseQuote(outblob).trailing.length);
      const collateral = await cache.get('tdx', () => fetchTdxCollateral(quote, tdx, fetch));
      if (!collateral.ok) return collateral;
      return ok({ kind: 'tdx', quote: toBase64(quote), collateral: collateral.value });
    }
    const found = await cache.get('snp', () => fetchSnpCollateral(outblob, kds, fetch));
    if (!found.ok) return found;
    const { vcek, chain, crl } = found.value;
    return ok({
      kind: 'snp',
      report: toBase64(outblob),
      vcek: toBase64(vcek),
      chain: toBase64(chain),
      crl: toBase64(crl),
    });
  }
}

const tooLarge = {
  code: 'bundle_too_large',
  message: 'This machine’s evidence is larger than a bundle may be.',
  remedy: 'Use fewer GPUs for one node.',
};
