/**
 * Runtime measurement registers out of an event log: each event extends one of them, RTMR = SHA-384(RTMR | digest), from
 * zeros on (Intel TDX Module Base Architecture, TDG.MR.RTMR.EXTEND).
 */
import { concatBytes, type Bytes } from '../bytes/bytes.ts';

export interface LogEvent {
  /** 0 to 3. */
  readonly register: number;
  /** 48 bytes. */
  readonly digest: Bytes;
  /** What the log calls it; told by the log alone unless `named` says otherwise. */
  readonly name: string;
  /** Whether the digest is over name and payload, so that they are measured, too. */
  readonly named: boolean;
  readonly payload: Bytes;
}

/** The four registers, 48 bytes each, after all events. */
export async function replay(events: readonly LogEvent[]): Promise<readonly Bytes[]> {
  const registers = [0, 1, 2, 3].map((): Bytes => new Uint8Array(48));
  for (const { register, digest } of events) {
    const before = registers[register];
    if (before === undefined) throw new RangeError(`there is no RTMR${register}`);
    registers[register] = new Uint8Array(await crypto.subtle.digest('SHA-384', concatBytes(before, digest)));
  }
  return registers;
}
