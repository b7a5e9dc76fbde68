/**
 * A GPU's attestation report: an SPDM 1.1 GET_MEASUREMENTS request and the MEASUREMENTS response to it, one behind the other
 * (DMTF DSP0274 1.1, sections 10.11.1 and 10.11.2). The device signs both, all but the signature.
 */
import { ByteReader } from '../bytes/byte-reader.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';

export interface SpdmReport {
  /** The requester's: what makes the report fresh. */
  readonly nonce: Bytes;
  /** Digests by index, which begins with 1. */
  readonly measurements: ReadonlyMap<number, Bytes>;
  /** NVIDIA's own fields by their number. */
  readonly opaque: ReadonlyMap<number, Bytes>;
  readonly signed: Bytes;
  /** r and s of P-384. */
  readonly signature: Bytes;
}

const SPDM_11 = 0x11;
const GET_MEASUREMENTS = 0xe0;
const MEASUREMENTS = 0x60;
const SIGNATURE_REQUESTED = 1;
const ALL_MEASUREMENTS = 0xff;
const DMTF = 1;
const SIGNATURE_BYTES = 96;
const DIGEST_BYTES = 48;

/** Throws `Malformed`. */
export function parseSpdmReport(bytes: Bytes): SpdmReport {
  demand(bytes.length <= limits.spdmBytes, `report: larger than ${limits.spdmBytes} bytes`);
  const reader = new ByteReader(bytes);
  demand(reader.u8('request version') === SPDM_11, 'request: not of SPDM 1.1');
  demand(reader.u8('request code') === GET_MEASUREMENTS, 'request: not GET_MEASUREMENTS');
  demand(reader.u8('request attributes') === SIGNATURE_REQUESTED, 'request: no signature was asked for');
  demand(reader.u8('request operation') === ALL_MEASUREMENTS, 'request: not for all measurements');
  const nonce = reader.take(32, 'request nonce');
  demand(reader.u8('request slot') === 0, 'request: not of slot 0');
  demand(reader.u8('response version') === SPDM_11, 'response: not of SPDM 1.1');
  demand(reader.u8('response code') === MEASUREMENTS, 'response: not MEASUREMENTS');
  reader.u8('response parameter 1');
  demand(reader.u8('response slot') === 0, 'response: not of slot 0');
  const blocks = reader.u8('number of blocks');
  const record = new ByteReader(reader.take(reader.u24('measurement record length'), 'measurement record'));
  const measurements = readMeasurements(record, blocks);
  reader.take(32, 'response nonce');
  const opaque = readOpaque(new ByteReader(reader.take(reader.u16('opaque length'), 'opaque data')));
  const signed = bytes.subarray(0, reader.offset);
  const signature = reader.take(SIGNATURE_BYTES, 'signature');
  demand(reader.left === 0, 'report: bytes behind the signature');
  return { nonce, measurements, opaque, signed, signature };
}

function readMeasurements(record: ByteReader, blocks: number): Map<number, Bytes> {
  const found = new Map<number, Bytes>();
  while (record.left > 0) {
    const index = record.u8('measurement index');
    demand(!found.has(index), `measurement ${index}: twice`);
    demand(record.u8('measurement specification') === DMTF, `measurement ${index}: not as DMTF specifies`);
    const size = record.u16('measurement size');
    record.u8('measurement value type');
    const valueSize = record.u16('measurement value size');
    demand(size === valueSize + 3, `measurement ${index}: two different sizes`);
    demand(valueSize === DIGEST_BYTES, `measurement ${index}: not a SHA-384 digest`);
    found.set(index, record.take(valueSize, 'measurement value'));
  }
  demand(found.size === blocks, `report: ${found.size} measurements instead of ${blocks}`);
  return found;
}

/** NVIDIA's layout: number and size in two bytes each, then the value. */
function readOpaque(data: ByteReader): Map<number, Bytes> {
  const fields = new Map<number, Bytes>();
  while (data.left > 0) {
    const id = data.u16('opaque field');
    demand(!fields.has(id), `opaque field ${id}: twice`);
    fields.set(id, data.take(data.u16('opaque field size'), `opaque field ${id}`));
  }
  return fields;
}
