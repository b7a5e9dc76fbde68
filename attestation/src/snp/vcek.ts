/** What a VCEK says of its chip: AMD 57230, Versioned Chip Endorsement Key Certificate and KDS Interface, table 8. */
import { hexOf } from '@tussah/protocol/bytes';
import type { Bytes } from '../bytes/bytes.ts';
import { DerReader, tags, type Element } from '../der/der.ts';
import { smallInteger } from '../der/values.ts';
import { demand } from '../malformed.ts';
import { snpProducts, type SnpProduct } from '../policy/policy.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { SnpTcb } from './tcb.ts';

const AMD = '1.3.6.1.4.1.3704.1';
const ids = {
  product: `${AMD}.2`,
  bootloader: `${AMD}.3.1`,
  tee: `${AMD}.3.2`,
  snp: `${AMD}.3.3`,
  microcode: `${AMD}.3.8`,
  fmc: `${AMD}.3.9`,
  hardwareId: `${AMD}.4`,
} as const;

export interface VcekPlatform {
  readonly product: SnpProduct;
  readonly tcb: SnpTcb;
  /** The unique id of the chip: 64 bytes, Turin's 8; hexadecimal. */
  readonly hardwareId: string;
}

/** Throws `Malformed`. */
export function vcekPlatform(certificate: Certificate): VcekPlatform {
  const value = (id: string): Bytes => {
    const extension = certificate.extensions.get(id);
    demand(extension !== undefined, `VCEK: no extension ${id}`);
    return extension.value;
  };
  const number = (id: string) => {
    const svn = smallInteger(only(value(id)), `VCEK ${id}`);
    demand(svn <= 255, `VCEK: ${id} is above one byte`);
    return svn;
  };
  const product = productOf(only(value(ids.product)));
  const hardwareId = value(ids.hardwareId);
  const size = product === 'Turin' ? 8 : 64;
  demand(hardwareId.length === size, `VCEK: a hardware id of ${hardwareId.length} bytes`);
  return {
    product,
    tcb: {
      fmc: product === 'Turin' ? number(ids.fmc) : 0,
      bootloader: number(ids.bootloader),
      tee: number(ids.tee),
      snp: number(ids.snp),
      microcode: number(ids.microcode),
    },
    hardwareId: hexOf(hardwareId),
  };
}

function only(der: Bytes): Element {
  const reader = new DerReader(der);
  const element = reader.next('VCEK extension');
  reader.end('VCEK extension');
  return element;
}

/** An IA5String such as `Milan-B0`: the product, and its stepping if there is one. */
function productOf(element: Element): SnpProduct {
  demand(element.tag === tags.ia5String, 'VCEK: the product name is not an IA5String');
  const [name] = new TextDecoder().decode(element.value).split('-');
  const product = snpProducts.find((each) => each === name);
  demand(product !== undefined, 'VCEK: an unknown product');
  return product;
}
