/** Where a coordinator under test kills itself: the phases of a job and of a commit, each seen through a wrapper of an effect. */
import { writeSync } from 'node:fs';
import type { PrivateEffect } from '../../core/private/events.ts';
import type { EffectHandlers } from '../dispatcher.ts';

export const killPhases = [
  'queued',
  'offered',
  'running, before the first token',
  'running, after the first token',
  'running, after a checkpoint',
  // That left a job to recover.
  'recovering',
  'checking',
  'settling',
  'before the commit of a settlement',
  'inside the transaction of a settlement',
  'after the commit, before the acknowledgement',
  'inside the transaction of a checkpoint',
] as const;
export type KillPhase = (typeof killPhases)[number];

export interface KillPlan {
  readonly phase: KillPhase;
  /** The how manieth time that this phase is reached, from 1. */
  readonly occurrence: number;
}

export class KillSwitch {
  readonly #plan: KillPlan | null;
  #reached = 0;
  /** Jobs with text in their last durable checkpoint. */
  readonly checkpointed = new Set<string>();

  /** Without a plan nothing is killed. */
  constructor(plan: KillPlan | null) {
    this.#plan = plan;
  }

  reached(phase: KillPhase): void {
    if (phase !== this.#plan?.phase || ++this.#reached !== this.#plan.occurrence) return;
    // Not through a stream: nothing that waits in this process survives.
    writeSync(1, `${JSON.stringify({ event: 'killed', ...this.#plan })}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
}

/** Performs the effects as ever, and tells the switch which phase each has come to. */
export function killingEffects(handlers: EffectHandlers, kill: KillSwitch): EffectHandlers {
  return {
    ...handlers,
    send: (effect) => {
      handlers.send(effect);
      if (effect.frame.type === 'job-offer') kill.reached('offered');
    },
    note: (effect) => {
      handlers.note(effect);
      if (effect.note.kind === 'job-queued') kill.reached('queued');
      if (effect.note.kind === 'job-interrupted') kill.reached('recovering');
      if (effect.note.kind === 'job-started') kill.reached('running, before the first token');
    },
    deliver: (effect) => {
      handlers.deliver(effect);
      kill.reached('running, after the first token');
      if (kill.checkpointed.has(effect.jobId)) kill.reached('running, after a checkpoint');
    },
    'check-segment': (effect) => {
      kill.reached('checking');
      handlers['check-segment'](effect);
    },
    settle: (effect) => {
      kill.reached('settling');
      handlers.settle(effect);
    },
    private: (effect) => {
      const phase = sealedPhaseOf(effect.effect);
      const isBefore = phase === 'checking' || phase === 'settling';
      if (phase !== undefined && isBefore) kill.reached(phase);
      handlers.private(effect);
      if (phase !== undefined && !isBefore) kill.reached(phase);
    },
  };
}

function sealedPhaseOf(effect: PrivateEffect): KillPhase | undefined {
  switch (effect.type) {
    case 'send-to-node':
      return effect.frame.type === 'sealed-offer' ? 'offered' : undefined;
    case 'assign':
      return 'running, before the first token';
    case 'deliver-chunk':
      return 'running, after the first token';
    case 'check-node-receipt':
      return 'checking';
    case 'settle-sealed':
      return 'settling';
    default:
      return undefined;
  }
}
