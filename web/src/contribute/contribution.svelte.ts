/** This tab as a contributor: it goes on while another page is shown, until it is stopped or the tab is closed. */
import type { Failure } from '@tussah/protocol/errors';
import { attachToHost } from '@tussah/worker-runtime/contributor/host-bridge';
import type {
  ContributorPhase,
  ContributorSettings,
  ContributorSnapshot,
} from '@tussah/worker-runtime/contributor/snapshot';
import { announcer } from '../app/announcer.svelte.ts';
import { networkState } from '../network/network.svelte.ts';
import type { RunningContributor } from './running-contributor.ts';

const over: ReadonlySet<ContributorPhase> = new Set(['idle', 'stopped', 'failed']);

/** Told to screen readers; what comes and goes with every job is not. */
const told: ReadonlySet<ContributorPhase> = new Set([
  'loading',
  'paused',
  'stopped',
  'draining',
  'reconnecting',
]);

class Contribution {
  /** Null before the first start. */
  snapshot: ContributorSnapshot | null = $state.raw(null);
  /** True from pressing Start until there is a snapshot to show. */
  preparing: boolean = $state(false);
  /** Whether the person paused it; a running answer is still finished then. */
  paused: boolean = $state(false);
  readonly active: boolean = $derived(
    this.preparing || (this.snapshot !== null && !over.has(this.snapshot.phase)),
  );
  #contributor: RunningContributor | null = null;
  #detach: (() => void) | undefined;
  #wasReady = false;

  constructor() {
    addEventListener('beforeunload', (event) => {
      // A host has its own way to end a page, and nobody to answer the question.
      if (this.snapshot?.phase === 'working' && window.tussahHost === undefined) event.preventDefault();
    });
  }

  async start(settings: ContributorSettings): Promise<void> {
    if (this.active) return;
    this.preparing = true;
    this.paused = false;
    this.#wasReady = false;
    try {
      // The engines are large: they are fetched when somebody wants to contribute.
      const { makeContributor } = await import('./make-contributor.ts');
      const contributor = makeContributor(settings);
      const started = contributor.start();
      this.#follow(contributor);
      await started;
    } catch {
      this.fail(settings.model, notFetched);
    }
  }

  /** Shows, to a host too, that a start failed before there was a contributor. */
  fail(model: string, failure: Failure): void {
    this.#follow(failed(model, failure));
  }

  pause(): void {
    this.paused = true;
    this.#contributor?.pause();
  }

  resume(): void {
    this.paused = false;
    this.#contributor?.resume();
  }

  finishThenStop(): void {
    void this.#contributor?.finishThenStop();
  }

  stop(): void {
    void this.#contributor?.stop();
  }

  #follow(contributor: RunningContributor): void {
    this.#detach?.();
    this.#contributor = contributor;
    const endListening = contributor.subscribe((snapshot) => this.#show(snapshot));
    const leaveHost = attachToHost(contributor);
    this.#detach = () => {
      endListening();
      leaveHost();
    };
    this.preparing = false;
    this.#show(contributor.snapshot);
  }

  #show(snapshot: ContributorSnapshot): void {
    const before = this.snapshot?.phase;
    this.snapshot = snapshot;
    const { phase, sentence, failure } = snapshot;
    if (phase === before) return;
    if (phase === 'failed' && failure !== null) announcer.alert(`${failure.message} ${failure.remedy}`);
    else if (told.has(phase) || (phase === 'ready' && !this.#wasReady)) announcer.say(sentence);
    // The network has one contributor more, or less.
    if ((phase === 'ready' && !this.#wasReady) || over.has(phase)) void networkState.read();
    if (phase === 'ready') this.#wasReady = true;
  }
}

const notFetched: Failure = {
  code: 'engine_not_fetched',
  message: 'The engine’s files could not be fetched.',
  remedy: 'Check your connection and start again; if it stays so, reload the page.',
};

/** A contributor that never began. */
const failed = (model: string, failure: Failure): RunningContributor => ({
  snapshot: {
    phase: 'failed',
    sentence: failure.message,
    progress: null,
    model,
    build: null,
    engine: null,
    engineNote: null,
    publicKey: null,
    jobsDone: 0,
    tokensDone: 0,
    tokensPerSecond: null,
    earnedHereNano: '0',
    earnedTotalNano: null,
    failure,
  },
  subscribe: () => () => undefined,
  start: async () => undefined,
  pause: () => undefined,
  resume: () => undefined,
  finishThenStop: async () => undefined,
  stop: async () => undefined,
});

export const contribution = new Contribution();
