/** The parts of a TCB version: AMD 56860, revision 1.58, TCB_VERSION, for family 19h (Milan, Genoa) and 1Ah (Turin). */
import type { SnpProduct } from '../policy/policy.ts';

export interface SnpTcb {
  /** Turin's; 0 elsewhere. */
  readonly fmc: number;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

const tcbParts = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

export function tcbOf(product: SnpProduct, bytes: Uint8Array): SnpTcb {
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, , , b6 = 0, b7 = 0] = bytes;
  return product === 'Turin'
    ? { fmc: b0, bootloader: b1, tee: b2, snp: b3, microcode: b7 }
    : { fmc: 0, bootloader: b0, tee: b1, snp: b6, microcode: b7 };
}

export const tcbText = (tcb: SnpTcb): string => tcbParts.map((part) => `${part} ${tcb[part]}`).join(', ');

/** In every part. */
export const reaches = (tcb: SnpTcb, floor: SnpTcb): boolean =>
  tcbParts.every((part) => tcb[part] >= floor[part]);

/** Bytes of a TCB version that mean nothing: reserved, zero. */
export const reservedTcb = (product: SnpProduct, bytes: Uint8Array): Uint8Array =>
  product === 'Turin' ? bytes.subarray(4, 7) : bytes.subarray(2, 6);

/** By CPUID_FAM_ID and CPUID_MOD_ID of the report, as virtee's sev library sorts them; Bergamo and Siena are Genoa's kin. */
const models: Readonly<
  Record<SnpProduct, { readonly family: number; readonly ranges: readonly (readonly [number, number])[] }>
> = {
  Milan: { family: 0x19, ranges: [[0x00, 0x0f]] },
  Genoa: {
    family: 0x19,
    ranges: [
      [0x10, 0x1f],
      [0xa0, 0xaf],
    ],
  },
  Turin: { family: 0x1a, ranges: [[0x00, 0x11]] },
};

export const isModelOf = (
  product: SnpProduct,
  { family, model }: { readonly family: number; readonly model: number },
) =>
  family === models[product].family &&
  models[product].ranges.some(([from, to]) => from <= model && model <= to);
