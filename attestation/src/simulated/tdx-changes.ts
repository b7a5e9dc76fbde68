/** What can be different about simulated TDX evidence, before it is signed. */
import type { Bytes } from '../bytes/bytes.ts';
import type { TdxImage } from '../policy/policy.ts';
import type { CertificateChange, CrlChange } from './certificates.ts';
import type { SimulatedIntel } from './intel.ts';
import type { SimulatedKey } from './keys.ts';

export interface TdxChanges {
  readonly version?: 4 | 5;
  /** A TD report of TDX 1.5; version 5 only. */
  readonly newer?: boolean;
  readonly root?: CertificateChange;
  readonly authority?: CertificateChange;
  readonly pck?: CertificateChange;
  readonly signer?: CertificateChange;
  /** The QE identity's signer; the same as the TCB info's unless changed. */
  readonly qeSigner?: CertificateChange;
  readonly rootCrl?: CrlChange;
  readonly pckCrl?: CrlChange;
  readonly platform?: Partial<PlatformSpec>;
  /** Before signing. */
  readonly tcbInfo?: Readonly<Record<string, unknown>>;
  readonly qeIdentity?: Readonly<Record<string, unknown>>;
  readonly header?: Partial<{ keyType: number; teeType: number; vendor: string }>;
  readonly body?: Partial<BodySpec>;
  readonly qeReport?: Partial<QeReportSpec>;
  readonly reportData?: Uint8Array;
  readonly image?: Partial<TdxImage>;
  /** The chain in the quote, out of leaf, authority and root. */
  readonly pckChain?: (chain: readonly Bytes[]) => readonly Bytes[];
  readonly tcbChain?: (chain: readonly Bytes[]) => readonly Bytes[];
  readonly qeChain?: (chain: readonly Bytes[]) => readonly Bytes[];
  /** Signs the QE report instead of the PCK. */
  readonly qeReportKey?: SimulatedKey;
  readonly quoteKey?: SimulatedKey;
  readonly tcbInfoKey?: SimulatedKey;
  readonly qeIdentityKey?: SimulatedKey;
  /** Appended to the quote. */
  readonly trailing?: Uint8Array;
}

export interface PlatformSpec {
  readonly ppid: Uint8Array;
  readonly fmspc: Uint8Array;
  readonly pceId: Uint8Array;
  readonly components: readonly number[];
  readonly pceSvn: number;
}
interface BodySpec {
  readonly teeTcbSvn: Uint8Array;
  readonly teeTcbSvn2: Uint8Array;
  readonly mrServiceTd: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
}
export interface QeReportSpec {
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Uint8Array;
}

/** The vendor with the certificates of one piece of evidence. */
export type TdxSigner = SimulatedIntel & Certificates;

export interface Certificates {
  readonly root: Bytes;
  readonly authority: Bytes;
  readonly pck: Bytes;
  readonly signer: Bytes;
  readonly qeSigner: Bytes;
}
