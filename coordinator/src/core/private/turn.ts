/** What all files of the private tier's core say to the shell. */
import type { CoordinatorNodeFrame } from '@tussah/protocol/private/node-frames';
import type { Turn } from '../turn.ts';
import type { PrivateEffect } from './events.ts';

export const effect = (turn: Turn, wanted: PrivateEffect): void => {
  turn.effects.push({ type: 'private', effect: wanted });
};

/** To a node, if it is still connected: the shell knows. */
export const tell = (turn: Turn, connectionId: string, frame: CoordinatorNodeFrame): void =>
  effect(turn, { type: 'send-to-node', connectionId, frame });
