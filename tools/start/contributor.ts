/** Runs one contributor in a headless browser, driven from this process. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Failure } from '@tussah/protocol/errors';
import type { ContributorSnapshot } from '../../worker-runtime/src/contributor/snapshot.ts';
import { startHeadlessContributor } from '../../worker-runtime/src/headless/host.ts';
import type { StartEngine } from './arguments.ts';

/** A running answer may end within this when everything stops; then the browser has to, within the other. */
const finishMs = 20_000;
const closeMs = 12_000;

export interface Contributor {
  /** Resolves when it ends although nobody asked it to. */
  readonly failed: Promise<Failure>;
  /** `finish` lets a running answer end first, for a bounded time. */
  stop(finish: boolean): Promise<void>;
}

export function startContributor(options: {
  readonly url: string;
  readonly model: string;
  readonly engine: StartEngine;
  /** Folder of the browser's profile; where another browser has it, a temporary one is used. */
  readonly profileDir: string;
  readonly onSentence: (sentence: string) => void;
}): Contributor {
  const { url, model, engine, profileDir, onSentence } = options;
  const host = startHeadlessContributor({ coordinatorUrl: url, model, engine, profileDir, wallet: null });
  host.onSnapshot((snapshot) => onSentence(sentenceOf(snapshot)));
  host.onNotice(onSentence);
  return {
    failed: host.closed.then(({ failure }) => failure ?? gone),
    async stop(finish) {
      if (finish && (await within(finishMs, host.stop({ finish: true })))) return;
      // What hangs even now is killed when this process exits.
      await within(closeMs, host.stop({ finish: false }));
    },
  };
}

/** Its own sentence, and how far a download is. */
export function sentenceOf({ sentence, progress }: ContributorSnapshot): string {
  if (progress === null || progress.step !== 'download' || !progress.totalBytes) return sentence;
  return `${sentence} ${Math.floor((100 * progress.loadedBytes) / progress.totalBytes)}%`;
}

/** Whether `work` was done in time. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(ms, false, { signal: over.signal }).catch(() => false);
  const inTime = await Promise.race([work.then(() => true), late]);
  over.abort();
  return inTime;
}

const gone: Failure = {
  code: 'contributor_gone',
  message: 'The browser of the contributor ended unexpectedly.',
  remedy: 'Run the command again; a machine short of memory ends browsers first.',
};
