/**
 * Collateral from vendors' services: everything is signed by the vendor and verified by whoever reads the bundle, so what is
 * bounded here is size and time only.
 */
import { fail, ok, type Result } from '@tussah/protocol/errors';

export interface Fetched {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Headers;
}

export type CollateralFailureCode = 'collateral_unavailable' | 'collateral_malformed';

export type FetchCollateral = (
  url: string,
  init?: RequestInit,
) => Promise<Result<Fetched, CollateralFailureCode>>;

const BYTES_MAX = 262_144;
const TIMEOUT_MS = 20_000;

export const fetchCollateral: FetchCollateral = async (url, init = {}) => {
  const { origin, pathname } = new URL(url);
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { ...init, redirect: 'error', signal });
    if (!response.ok) {
      await response.body?.cancel();
      return unavailable(origin + pathname, `HTTP ${response.status}`);
    }
    const bytes = await readBounded(response);
    return bytes === undefined
      ? unavailable(origin + pathname, 'too large')
      : ok({ bytes, headers: response.headers });
  } catch (error) {
    return unavailable(origin + pathname, error instanceof Error ? error.name : 'unknown');
  }
};

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > BYTES_MAX) return undefined;
    parts.push(part);
  }
  return Uint8Array.from(Buffer.concat(parts));
}

const unavailable = (address: string, why: string): Result<never, CollateralFailureCode> =>
  fail({
    code: 'collateral_unavailable',
    message: `${address} gave no collateral (${why}).`,
    remedy: 'Check the guest’s way out and the addresses given with --pccs, --kds and --ocsp.',
  });

export const malformedCollateral = (what: string): Result<never, CollateralFailureCode> =>
  fail({
    code: 'collateral_malformed',
    message: `Collateral can’t be used: ${what}.`,
    remedy: 'Check that the address is of a service with that interface.',
  });
