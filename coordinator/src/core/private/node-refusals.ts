/** Why the coordinator ends a node's connection, and what the directory then says of the node. */
import { closeCodes } from '@tussah/protocol/contributor-frames';
import type { LeaveReason } from '@tussah/protocol/private/directory';
import type { Refusal } from '../refusal.ts';

export const nodeRefusals = {
  illegal: (detail: string): Refusal => ({
    closeCode: closeCodes.illegalFrame,
    code: 'illegal_frame',
    message: `This frame breaks the protocol: ${detail}.`,
    remedy: 'Update the node to the version that this coordinator serves.',
    retry: true,
  }),
  unproven: {
    closeCode: closeCodes.unauthorized,
    code: 'key_not_proven',
    message: 'The signature does not prove the identity for this challenge.',
    remedy: 'Sign the challenge of this connection with the key that the hello names.',
    retry: false,
  },
  silent: {
    closeCode: closeCodes.timeout,
    code: 'timeout',
    message: 'The node was silent for too long.',
    remedy: 'Reconnect; answer pings, offers and the challenge in time.',
    retry: true,
  },
  nonceUnknown: {
    closeCode: closeCodes.unauthorized,
    code: 'epoch_nonce_unknown',
    message:
      'There is no epoch nonce that this bundle could answer: none was asked for, it was used, or it is too old.',
    remedy: 'Send epoch-request, and attest to the nonce that comes within two minutes, once.',
    retry: true,
  },
  full: {
    closeCode: closeCodes.tooFast,
    code: 'directory_full',
    message: 'The directory holds as many nodes as it takes.',
    remedy: 'Try again later.',
    retry: true,
  },
  evidence: (code: string, message: string, remedy: string): Refusal => ({
    closeCode: closeCodes.unauthorized,
    code,
    message: message.slice(0, 512).toWellFormed(),
    remedy: remedy.slice(0, 512).toWellFormed(),
    retry: true,
  }),
} as const;

/** What is no fault of the node's: there is no room for it, or we could not look. */
const blameless: ReadonlySet<string> = new Set(['directory_full', 'too_many_attestations', 'internal']);

export function leaveReasonOf({ code }: Refusal): LeaveReason {
  if (code === 'timeout') return 'silent';
  return blameless.has(code) ? 'disconnected' : 'misbehaved';
}
