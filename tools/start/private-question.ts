/** Asks one private question as any client would: verifies the node, seals, opens the answer and checks its receipt. */
import type { Policy } from '@tussah/attestation/policy/policy';
import { PrivateClient } from '@tussah/client/private/private-client';
import type { AttestationKind, PrivateFinished } from '@tussah/client/private/private-events';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import { interrupted, speed } from './question.ts';

export interface PrivateQuestion {
  readonly url: string;
  readonly text: string;
  readonly model: string;
  /** Public key that directory and receipt must be signed with. */
  readonly coordinator: string;
  readonly policy: Policy;
}

export interface AnsweredPrivately {
  readonly answer: string;
  readonly model: string;
  readonly tier: 'private';
  readonly attestation: AttestationKind;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly ttftMs: number;
  readonly tokensPerSecond: number;
  /** The machine that answered, from its accepted evidence. */
  readonly node: {
    readonly bundle: string;
    readonly machine: string;
    readonly gpus: readonly string[];
    readonly image: string;
  };
  readonly receipt: PrivateReceipt;
}

/** `onText` gets the answer as it streams. */
export async function askPrivately(
  { url, text, model, coordinator, policy }: PrivateQuestion,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Result<AnsweredPrivately>> {
  const client = new PrivateClient({ baseURL: `${url}/v1`, policy, coordinatorKey: coordinator });
  const askedAtMs = performance.now();
  const times: number[] = [];
  let answer = '';
  // Greedy: a small model wanders off, and this one shows whether everything works.
  const question = { model, messages: [{ role: 'user', content: text }], temperature: 0 } as const;
  for await (const event of client.chat(question, { signal })) {
    if (event.type === 'failed') return fail(event.failure);
    if (event.type === 'stopped') return fail(interrupted);
    if (event.type === 'text-delta') {
      times.push(performance.now());
      answer += event.text;
      onText(event.text);
    }
    if (event.type === 'finished') return ok(answered(event, model, answer, askedAtMs, times));
  }
  return fail(interrupted);
}

function answered(
  { usage, attestation, node, receipt }: PrivateFinished,
  model: string,
  answer: string,
  askedAtMs: number,
  times: readonly number[],
): AnsweredPrivately {
  const { prompt_tokens, completion_tokens } = usage;
  const { bundle, machine, gpus, image } = node;
  return {
    answer,
    model,
    tier: 'private',
    attestation,
    usage: { prompt_tokens, completion_tokens },
    ...speed(askedAtMs, times, completion_tokens),
    node: { bundle, machine, gpus, image },
    receipt,
  };
}
