/** Frames of peers as they come off a WebSocket: bounded, JSON, and of one strict schema, or the reason why not. */
import { closeCodes } from '@tussah/protocol/contributor-frames';
import * as v from 'valibot';
import type { RawData } from 'ws';
import type { Refusal } from '../core/refusal.ts';

export const breach = (closeCode: number, code: string, message: string, remedy: string): Refusal => ({
  closeCode,
  code,
  message,
  remedy,
  retry: true,
});

export const frameTooLarge = (bytes: number): Refusal =>
  breach(
    closeCodes.frameTooLarge,
    'frame_too_large',
    `A frame was larger than ${bytes} bytes.`,
    'Send smaller frames.',
  );

export interface FrameReader<Schema extends v.GenericSchema> {
  readonly schema: Schema;
  /** Such as `tussah.v1`. */
  readonly protocol: string;
  readonly bytesMax: number;
  /** What such peers are called. */
  readonly peer: string;
}

export type Read<Schema extends v.GenericSchema> =
  | { readonly frame: v.InferOutput<Schema>; readonly refusal?: undefined }
  | { readonly frame?: undefined; readonly refusal: Refusal };

export function readFrame<Schema extends v.GenericSchema>(
  { schema, protocol, bytesMax, peer }: FrameReader<Schema>,
  data: RawData,
  isBinary: boolean,
): Read<Schema> {
  const malformed = (detail: string) => ({
    refusal: breach(
      closeCodes.malformedFrame,
      'malformed_frame',
      `This frame cannot be read: ${detail}.`,
      `Send frames of ${protocol} as JSON text.`,
    ),
  });
  if (isBinary) return malformed('it is binary');
  const bytes = bytesOf(data);
  if (bytes.length > bytesMax) return { refusal: frameTooLarge(bytesMax) };
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return malformed('it is not JSON');
  }
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return { frame: parsed.output };
  if (isOtherProtocol(value, protocol)) return { refusal: protocolMismatch(protocol, peer) };
  const issue = parsed.issues[0];
  return malformed(
    // A cut may fall inside a surrogate pair, and a name may hold half of one.
    `${v.getDotPath(issue) ?? 'frame'} should be ${issue.expected ?? 'otherwise'}`
      .slice(0, 200)
      .toWellFormed(),
  );
}

const HelloSchema = v.object({ type: v.literal('hello'), protocol: v.string() });

/** A hello of another version, whatever else has changed in it. */
const isOtherProtocol = (value: unknown, protocol: string): boolean =>
  v.is(HelloSchema, value) && value.protocol !== protocol;

const protocolMismatch = (protocol: string, peer: string): Refusal => ({
  ...breach(
    closeCodes.protocolMismatch,
    'protocol_mismatch',
    `This coordinator speaks ${protocol}.`,
    `Use a ${peer} of the same version as the coordinator.`,
  ),
  retry: false,
});

const bytesOf = (data: RawData): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? Buffer.from(data) : data;
