/** The event log of a dstack guest: JSON, one entry an event. */
import * as v from 'valibot';
import { concatBytes, equalBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import { parseAs } from '../schema.ts';
import type { LogEvent } from './replay.ts';

/** Events that the running guest adds; all others are the firmware's. */
const RUNTIME_EVENT = 0x08000001;

const EventSchema = v.strictObject({
  imr: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3)),
  event_type: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff)),
  digest: v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{96}$/)),
  /** Without a colon, which separates it from the payload in what is digested. */
  event: v.pipe(v.string(), v.maxLength(1024), v.regex(/^[^:]*$/)),
  event_payload: v.pipe(v.string(), v.regex(/^[0-9a-fA-F]*$/)),
});
const LogSchema = v.pipe(v.array(EventSchema), v.maxLength(limits.events));

/** Reads a log; a runtime event whose digest is not over its name and payload is refused. Throws `Malformed`. */
export async function readDstackLog(log: unknown): Promise<LogEvent[]> {
  return Promise.all(parseAs(LogSchema, log, 'event log').map(readEvent));
}

async function readEvent(entry: v.InferOutput<typeof EventSchema>): Promise<LogEvent> {
  const digest = fromHex(entry.digest, 'digest');
  const payload = fromHex(entry.event_payload, 'payload');
  const named = entry.event_type === RUNTIME_EVENT;
  if (named) {
    const expected = await runtimeDigest(entry.event, payload);
    demand(equalBytes(expected, digest), `event log: ${entry.event} does not have the digest that it states`);
  }
  demand(named || entry.event === '', `event log: ${entry.event} is not measured by its name`);
  return { register: entry.imr, digest, name: entry.event, named, payload };
}

/** SHA-384(type, least significant byte first | ":" | name | ":" | payload). */
export async function runtimeDigest(name: string, payload: Bytes): Promise<Bytes> {
  const type = new Uint8Array(4);
  new DataView(type.buffer).setUint32(0, RUNTIME_EVENT, true);
  const input = concatBytes(type, utf8(':'), utf8(name), utf8(':'), payload);
  return new Uint8Array(await crypto.subtle.digest('SHA-384', input));
}
