/**
 * The confidential-computing event log that firmware leaves behind: UEFI 2.10, section 38.4, in the crypto-agile format of
 * the TCG PC Client Platform Firmware Profile, section 10.2.
 */
import { ByteReader } from '../bytes/byte-reader.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import type { LogEvent } from './replay.ts';

const NO_ACTION = 3;
const SHA384 = 0x0c;
/** Unused room behind the last event is filled with ones. */
const END = 0xffffffff;

/** Throws `Malformed`. */
export function readCcel(bytes: Bytes): LogEvent[] {
  demand(bytes.length <= limits.eventLogBytes, `event log: larger than ${limits.eventLogBytes} bytes`);
  const reader = new ByteReader(bytes);
  const digestSizes = readHeader(reader);
  const events: LogEvent[] = [];
  while (reader.left > 0) {
    const register = reader.u32('register');
    if (register === END) {
      const room = reader.take(reader.left, 'unused room');
      demand(
        room.every((byte) => byte === 0xff),
        'event log: something behind its end',
      );
      break;
    }
    const type = reader.u32('event type');
    const digest = readDigests(reader, digestSizes);
    const payload = reader.take(reader.u32('event size'), 'event');
    if (type === NO_ACTION) continue;
    // Register 0 is MRTD, which no event extends; 1 to 4 are RTMR0 to RTMR3.
    demand(register >= 1 && register <= 4, `event log: there is no register ${register}`);
    demand(events.length < limits.events, `event log: more than ${limits.events} events`);
    events.push({ register: register - 1, digest, name: `0x${type.toString(16)}`, named: false, payload });
  }
  return events;
}

/** The first event is of the older format, and says how long the digests of each algorithm are. */
function readHeader(reader: ByteReader): ReadonlyMap<number, number> {
  reader.u32('register');
  demand(reader.u32('event type') === NO_ACTION, 'event log: does not begin with its specification');
  reader.take(20, 'digest');
  const spec = new ByteReader(reader.take(reader.u32('event size'), 'specification'));
  const signature = new TextDecoder().decode(spec.take(16, 'signature'));
  demand(signature === 'Spec ID Event03\0', 'event log: not of the crypto-agile format');
  spec.take(8, 'platform class, version, size of integers');
  const sizes = new Map<number, number>();
  const count = spec.u32('number of algorithms');
  demand(count <= 8, 'event log: too many algorithms');
  for (let i = 0; i < count; i++) sizes.set(spec.u16('algorithm'), spec.u16('digest size'));
  demand(sizes.get(SHA384) === 48, 'event log: without SHA-384');
  return sizes;
}

function readDigests(reader: ByteReader, sizes: ReadonlyMap<number, number>): Bytes {
  let found: Bytes | undefined;
  const count = reader.u32('number of digests');
  demand(count <= sizes.size, 'event log: more digests than algorithms');
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16('algorithm');
    const size = sizes.get(algorithm);
    demand(size !== undefined, `event log: unknown algorithm ${algorithm}`);
    const digest = reader.take(size, 'digest');
    if (algorithm === SHA384) found = digest;
  }
  demand(found !== undefined, 'event log: an event without SHA-384 digest');
  return found;
}
