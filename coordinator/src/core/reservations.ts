/** What open jobs may still cost: held of the payer's balance, and counted for the flow. */
import type { Nano } from '@tussah/protocol/money';
import type { State } from './state.ts';

interface Holding {
  readonly request: { readonly payer: string; readonly flow: string };
  readonly reservedNano: Nano;
}

/** Reserves what a job can cost at most, and counts it for its flow. */
export function hold({ reserved, flows }: State, { request, reservedNano }: Holding): void {
  const { payer, flow: name } = request;
  reserved.set(payer, (reserved.get(payer) ?? 0n) + reservedNano);
  const flow = flows.get(name) ?? { active: 0, queued: 0, reservedNano: 0n };
  flow.active += 1;
  flow.reservedNano += reservedNano;
  flows.set(name, flow);
}

export function releaseHold({ reserved, flows }: State, { request, reservedNano }: Holding): void {
  const { payer, flow: name } = request;
  const held = (reserved.get(payer) ?? 0n) - reservedNano;
  if (held === 0n) reserved.delete(payer);
  else reserved.set(payer, held);
  const flow = flows.get(name);
  if (flow === undefined) return;
  flow.active -= 1;
  flow.reservedNano -= reservedNano;
  if (flow.active === 0) flows.delete(name);
}
