/** What the session shows of itself: one plain snapshot, one sentence. */
import type { Failure } from '@tussah/protocol/errors';
import type { BuildChoice } from './ports.ts';
import { isLive } from './session-turn.ts';
import type { SessionState } from './session-state.ts';
import type { ContributorPhase, ContributorSettings, ContributorSnapshot } from './snapshot.ts';

/** What the shell knows beside the machine. */
export interface ShellView {
  /** `null` while an engine is loaded or nothing has begun. */
  readonly loading: 'preparing' | 'loading' | 'measuring' | 'reloading' | null;
  readonly progress: ContributorSnapshot['progress'];
  /** Why the engine had to be replaced. */
  readonly reloadReason: string | null;
  readonly choice: BuildChoice | null;
  readonly publicKey: string | null;
  /** Of the shell: what kept the session from starting. */
  readonly failure: Failure | null;
}

export const initialView: ShellView = {
  loading: null,
  progress: null,
  reloadReason: null,
  choice: null,
  publicKey: null,
  failure: null,
};

export function present(
  settings: ContributorSettings,
  view: ShellView,
  state: SessionState,
): ContributorSnapshot {
  const failure = view.failure ?? (state.link.at === 'failed' ? state.link.failure : null);
  const [phase, sentence] = say(view, state, failure);
  const { job, tally } = state;
  const running = job.at === 'running' ? job.log.endPosition - job.log.firstPosition : 0;
  return {
    phase,
    sentence,
    progress: view.progress,
    model: settings.model,
    build: view.choice?.build.id ?? null,
    engine: view.choice?.engine ?? null,
    engineNote: view.choice?.engineNote ?? null,
    publicKey: view.publicKey,
    jobsDone: tally.jobsDone,
    tokensDone: tally.tokensDone + running,
    tokensPerSecond: tally.tokensPerSecond,
    earnedHereNano: tally.earnedHereNano,
    earnedTotalNano: tally.earnedTotalNano,
    failure,
  };
}

function say(view: ShellView, state: SessionState, failure: Failure | null): [ContributorPhase, string] {
  const { link, job, intent } = state;
  const busy = job.at === 'running' || job.at === 'signing';
  if (failure !== null) return ['failed', failure.message];
  if (link.at === 'stopped') return ['stopped', 'Stopped.'];
  if (view.loading !== null) return ['loading', loadingSentence(view, view.loading)];
  if (link.at === 'idle') return ['idle', 'Not contributing.'];
  if (!isLive(link)) return unconnected(state, busy);
  if (intent === 'finish')
    return [
      'draining',
      busy ? 'Finishing the running answer, then stopping.' : 'Waiting for the last receipt, then stopping.',
    ];
  if (link.at === 'draining')
    return [
      'draining',
      'The coordinator is restarting: finishing the running answer, then connecting again.',
    ];
  if (busy && intent === 'pause') return ['working', 'Finishing the running answer, then pausing.'];
  if (busy) return ['working', 'Answering a job.'];
  if (intent === 'pause') return ['paused', 'Paused: no new jobs are taken.'];
  return ['ready', 'Ready: waiting for a job.'];
}

function loadingSentence(view: ShellView, loading: NonNullable<ShellView['loading']>): string {
  const again = view.reloadReason === null ? '' : `The engine was lost (${view.reloadReason}). `;
  switch (loading) {
    case 'preparing':
      return 'Choosing a build for this device.';
    case 'loading':
      return `${again}${view.progress?.step === 'start' ? 'Starting the model.' : 'Downloading the model.'}`;
    case 'measuring':
      return `${again}Measuring the speed of this device.`;
    case 'reloading':
      return `${again}Starting it again.`;
    default:
      return loading satisfies never;
  }
}

function unconnected(
  { link, everWelcomed, downSinceMs }: SessionState,
  busy: boolean,
): [ContributorPhase, string] {
  const meanwhile = busy ? ' The running answer goes on meanwhile.' : '';
  if (link.at === 'waiting') return ['reconnecting', `${link.reason} Trying again shortly.${meanwhile}`];
  const again = everWelcomed || downSinceMs !== null;
  if (again) return ['reconnecting', `Connecting to the coordinator again.${meanwhile}`];
  return ['connecting', 'Connecting to the coordinator.'];
}
