/** Reads what the coordinator sent: bounded before it is parsed, strict after. */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import {
  CoordinatorNodeFrameSchema,
  NODE_PROTOCOL,
  type CoordinatorNodeFrame,
} from '@tussah/protocol/private/node-frames';
import * as v from 'valibot';

export type FrameFailureCode = 'malformed_frame' | 'frame_too_large' | 'protocol_mismatch';

const remedy =
  'Nothing to do here: the connection is made again. If it goes on, tell the coordinator’s operator.';
const malformed = (message: string) => fail<FrameFailureCode>({ code: 'malformed_frame', message, remedy });

const OtherChallengeSchema = v.object({ type: v.literal('challenge'), protocol: v.string() });

export function readNodeFrame(data: unknown): Result<CoordinatorNodeFrame, FrameFailureCode> {
  if (typeof data !== 'string') return malformed('The coordinator sent something that is not text.');
  // UTF-16 units are at most the bytes, so nothing legal is refused.
  if (data.length > limits.coordinatorFrameBytes)
    return fail({
      code: 'frame_too_large',
      message: 'The coordinator sent a frame above the limit.',
      remedy,
    });
  let input: unknown;
  try {
    input = JSON.parse(data);
  } catch {
    return malformed('The coordinator sent text that is not JSON.');
  }
  const parsed = v.safeParse(CoordinatorNodeFrameSchema, input);
  if (parsed.success) return ok(parsed.output);
  const challenge = v.safeParse(OtherChallengeSchema, input);
  if (challenge.success && challenge.output.protocol !== NODE_PROTOCOL)
    return fail({
      code: 'protocol_mismatch',
      message: `The coordinator speaks ${challenge.output.protocol.slice(0, 32)}, this node ${NODE_PROTOCOL}.`,
      remedy: 'Update this node, so that both are of the same version.',
    });
  return malformed(
    `The coordinator sent a frame of a wrong shape: ${v.getDotPath(parsed.issues[0]) ?? 'type'}.`,
  );
}
