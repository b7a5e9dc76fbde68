/** Asks a scripted coordinator and gathers what comes. */
import { NOW, policy as worldPolicy, world } from '@tussah/attestation/testing/world';
import type { Policy } from '@tussah/attestation/policy/policy';
import type { Question } from '../../chat-stream.ts';
import { PrivateClient, type PrivateChatOptions, type PrivateClientOptions } from '../private-client.ts';
import type { PrivateEvent } from '../private-events.ts';
import type { NodePlan, ScriptedNode } from './scripted-node.ts';
import { MODEL, MODEL_DIGEST } from './scripted-node.ts';
import { ScriptedPrivateCoordinator } from './scripted-private-coordinator.ts';

export { NOW, world };

export const policy: Policy = { ...worldPolicy, models: { [MODEL]: { digest: MODEL_DIGEST } } };

export const question = {
  model: MODEL,
  messages: [{ role: 'user', content: 'What is wild silk?' }],
  max_tokens: 64,
} as const satisfies Question;

export const pieces = ['Silk', ' from', ' шёл', 'ковая 🐛', '\n"wild"', '.'];
export const wholeText = pieces.join('');

export interface Network {
  readonly coordinator: ScriptedPrivateCoordinator;
  readonly nodes: readonly ScriptedNode[];
  readonly client: PrivateClient;
}

/** Draws zeros: the order of nodes is then the same each time. */
export const zeros = (bytes: number): Uint8Array => new Uint8Array(bytes);

/** A coordinator with a node for each plan, and a client of it. */
export async function network(
  plans: readonly NodePlan[] = [{}],
  options: Partial<PrivateClientOptions> = {},
): Promise<Network> {
  const coordinator = await ScriptedPrivateCoordinator.start(world);
  const nodes: ScriptedNode[] = [];
  for (const plan of plans) {
    const node = await coordinator.join(plan);
    node.says = () => ({ text: pieces });
    nodes.push(node);
  }
  return { coordinator, nodes, client: clientOf(coordinator, options) };
}

export const clientOf = (
  coordinator: ScriptedPrivateCoordinator,
  options: Partial<PrivateClientOptions> = {},
): PrivateClient =>
  new PrivateClient({
    baseURL: coordinator.baseURL,
    policy,
    fetch: coordinator.fetch,
    now: coordinator.now,
    ...options,
  });

export async function ask(
  client: PrivateClient,
  asking: Question = question,
  options: PrivateChatOptions = {},
) {
  const events: PrivateEvent[] = [];
  for await (const event of client.chat(asking, { padding: 'none', ...options })) events.push(event);
  const text = events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
  const last = events.at(-1);
  if (last === undefined) throw new Error('nothing came');
  return { events, text, last, types: events.map(({ type }) => type) };
}

/** The code that a chat fails with; `finished` and `stopped` are said as such. */
export async function codeOf(client: PrivateClient, asking: Question = question): Promise<string> {
  const { last } = await ask(client, asking);
  return last.type === 'failed' ? last.failure.code : last.type;
}
