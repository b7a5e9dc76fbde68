/** Asks a coordinator that cheats, and what its lies are made of. */
import { expect } from 'vitest';
import type { SealedEvent } from '@tussah/protocol/private/sealed-events';
import type { Patience } from '../job-stream.ts';
import { ask, network, wholeText } from './asking.ts';
import type { ScriptedNode } from './scripted-node.ts';
import type { Cheats } from './scripted-private-coordinator.ts';

export const first = (nodes: readonly ScriptedNode[]): ScriptedNode => nodes[0] as ScriptedNode;

/** Asks a coordinator with one node that cheats. Whatever came as text is the node's own, and the chat is never finished. */
export async function cheated(cheats: Cheats, options: { readonly patience?: Partial<Patience> } = {}) {
  const { client, coordinator, nodes } = await network([{}], options);
  coordinator.cheats = cheats;
  const asked = await ask(client);
  expect(asked.last.type).toBe('failed');
  expect(wholeText.startsWith(asked.text)).toBe(true);
  if (asked.last.type !== 'failed') throw new Error('it passed');
  expect(asked.last.failure.remedy).not.toBe('');
  return { ...asked, failed: asked.last, code: asked.last.failure.code, client, coordinator, nodes };
}

export const isChunk = (event: SealedEvent): event is Extract<SealedEvent, { type: 'chunk' }> =>
  event.type === 'chunk';

export const flipped = (base64: string): string => (base64.startsWith('A') ? 'B' : 'A') + base64.slice(1);
