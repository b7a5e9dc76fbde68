/**
 * The headless contributor: drives the site's own Contribute page in a Chromium without a window, keeps it running through
 * crashes, and ends it cleanly.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Failure } from '@tussah/protocol/errors';
import type { Page } from 'playwright';
import { type BackOff, backOffMs } from '../contributor/back-off.ts';
import {
  CONTRIBUTE_PATH,
  type EngineChoice,
  formatContributeHash,
  readSnapshot,
} from '../contributor/host-bridge.ts';
import type { ContributorSnapshot } from '../contributor/snapshot.ts';
import { launch, type RunningBrowser, type WebGpuMode } from './browser.ts';
import { findGpu, type SoftwareWebGpu } from './find-gpu.ts';
import { findBrowser } from './find-browser.ts';
import { failures } from './host-failures.ts';
import { defaultProfile, holderOf, openProfile, type Profile, temporaryProfile } from './profile.ts';

export interface HeadlessOptions {
  /** Origin of the coordinator, such as `http://127.0.0.1:4180`. */
  readonly coordinatorUrl: string;
  readonly model: string;
  readonly engine: EngineChoice;
  readonly wallet: string | null;
  /** Folder of the browser's profile; default `.tussah/profiles/contribute` of this checkout. */
  readonly profileDir?: string;
  /** Path of the browser; default: see find-browser.ts. */
  readonly browserPath?: string;
  /** SwiftShader for WebGPU: `auto` only where the engine needs WebGPU and the machine has no GPU. */
  readonly softwareWebGpu?: SoftwareWebGpu;
}

export interface HeadlessEnd {
  readonly reason: 'stopped' | 'failed' | 'no-browser' | 'unreachable';
  readonly failure: Failure | null;
  /** The last one seen. */
  readonly snapshot: ContributorSnapshot | null;
}

export interface HeadlessContributor {
  readonly snapshot: ContributorSnapshot | null;
  /** Calls `listener` with each snapshot of the page; the result ends that. */
  onSnapshot(listener: (snapshot: ContributorSnapshot) => void): () => void;
  /** Sentences about the browser itself: which GPU, which profile, why it is started again. */
  onNotice(listener: (sentence: string) => void): () => void;
  /** `finish` delivers the running answer first. A second call may only hurry the first. */
  stop(options: { readonly finish: boolean }): Promise<HeadlessEnd>;
  /** Resolves, never rejects, when the browser has ended and will not be started again. */
  readonly closed: Promise<HeadlessEnd>;
}

export interface HostTiming {
  readonly openPageMs: number;
  /** From the page's being open to its first snapshot. */
  readonly firstSnapshotMs: number;
  readonly finishMaxMs: number;
  readonly stopMaxMs: number;
  /** A page that lived for longer was a success: failures are counted anew. */
  readonly stableMs: number;
  /** Repetitions in a row, after a crash and of a coordinator that can't be reached. */
  readonly restartsMax: number;
  readonly restartBackOff: BackOff;
}

export const hostTiming: HostTiming = {
  openPageMs: 30_000,
  firstSnapshotMs: 30_000,
  finishMaxMs: 900_000,
  stopMaxMs: 3_000,
  stableMs: 600_000,
  restartsMax: 5,
  restartBackOff: { baseMs: 1_000, capMs: 30_000 },
};

/** Failures of the page that a new browser may cure. */
const curable = new Set(['engine_lost', 'device_lost', 'out_of_memory']);

/** Starts at once; everything that happens is told through the result. */
export function startHeadlessContributor(
  options: HeadlessOptions,
  timing: HostTiming = hostTiming,
): HeadlessContributor {
  return new Host(options, timing);
}

type VisitEnd =
  | { readonly how: 'stopped' }
  | { readonly how: 'final'; readonly reason: 'failed' | 'unreachable'; readonly failure: Failure }
  | { readonly how: 'again'; readonly failure: Failure };

class Host implements HeadlessContributor {
  readonly #options: HeadlessOptions;
  readonly #timing: HostTiming;
  readonly #onSnapshot = new Set<(snapshot: ContributorSnapshot) => void>();
  readonly #onNotice = new Set<(sentence: string) => void>();
  readonly #stoppingNow = new AbortController();
  #stopping: 'no' | 'finish' | 'now' = 'no';
  #webGpu: WebGpuMode | undefined;
  #profile: Profile | undefined;
  #page: Page | undefined;
  #endVisit: ((end: VisitEnd) => void) | undefined;
  snapshot: ContributorSnapshot | null = null;
  readonly closed: Promise<HeadlessEnd>;

  constructor(options: HeadlessOptions, timing: HostTiming) {
    this.#options = options;
    this.#timing = timing;
    this.closed = this.#run();
  }

  onSnapshot(listener: (snapshot: ContributorSnapshot) => void): () => void {
    this.#onSnapshot.add(listener);
    return () => void this.#onSnapshot.delete(listener);
  }

  onNotice(listener: (sentence: string) => void): () => void {
    this.#onNotice.add(listener);
    return () => void this.#onNotice.delete(listener);
  }

  stop({ finish }: { readonly finish: boolean }): Promise<HeadlessEnd> {
    if (finish && this.#stopping === 'no') {
      this.#stopping = 'finish';
      void this.#askToStop('finishThenStop', this.#timing.finishMaxMs);
    } else if (!finish && this.#stopping !== 'now') {
      this.#stopping = 'now';
      void this.#askToStop('stop', this.#timing.stopMaxMs);
    }
    return this.closed;
  }

  /** Asks the page, waits for it a bounded time, then ends the visit in any case. */
  async #askToStop(method: 'finishThenStop' | 'stop', boundMs: number): Promise<void> {
    const { signal } = this.#stoppingNow;
    if (method === 'stop') setTimeout(() => this.#stoppingNow.abort(), boundMs).unref();
    const bound = pause(boundMs, undefined, { signal, ref: false }).catch(() => undefined);
    const asked = this.#page
      ?.evaluate((name) => window.tussahContributor?.[name](), method)
      .catch(() => undefined);
    await Promise.race([asked ?? Promise.resolve(), bound]);
    this.#stoppingNow.abort();
    this.#endVisit?.({ how: 'stopped' });
  }

  async #run(): Promise<HeadlessEnd> {
    // Listeners can be added before anything is told.
    await pause(0);
    const executable = findBrowser(
      this.#options.browserPath === undefined
        ? process.env
        : { ...process.env, TUSSAH_BROWSER: this.#options.browserPath },
    );
    if (executable === undefined)
      return this.#ended('no-browser', failures.noBrowser(this.#options.browserPath));
    try {
      this.#takeProfile(openProfile(this.#options.profileDir ?? defaultProfile()));
      return await this.#visits(executable);
    } catch (error) {
      return this.#ended('failed', failures.host(error));
    } finally {
      this.#profile?.close();
    }
  }

  #takeProfile(profile: Profile): void {
    this.#profile = profile;
    if (profile.temporary) this.#notice(profileTaken(this.#options.wallet));
  }

  async #visits(executable: string): Promise<HeadlessEnd> {
    for (let failed = 0; ;) {
      const beganMs = performance.now();
      const end = await this.#visit(executable);
      if (this.#stopping !== 'no' || end.how === 'stopped') return this.#ended('stopped', null);
      if (end.how === 'final') return this.#ended(end.reason, end.failure);
      if (performance.now() - beganMs > this.#timing.stableMs) failed = 0;
      if (++failed > this.#timing.restartsMax) return this.#ended('failed', end.failure);
      await this.#wait(failed - 1, end.failure);
      if (this.#stopping !== 'no') return this.#ended('stopped', null);
    }
  }

  /** One life of the browser. */
  async #visit(executable: string): Promise<VisitEnd> {
    const dir = this.#profile?.dir ?? '';
    let browser: RunningBrowser;
    try {
      browser = await this.#launch(executable, dir);
    } catch (error) {
      // Another browser may have taken the profile since it was found free.
      if (holderOf(dir) !== undefined) this.#takeProfile(temporaryProfile());
      return { how: 'again', failure: failures.launch(error) };
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<VisitEnd>();
    this.#endVisit = end;
    browser.context.on('close', () => end({ how: 'again', failure: failures.crashed('The browser') }));
    try {
      if (this.#stopping !== 'no') return { how: 'stopped' };
      const over = new AbortController();
      void ended.finally(() => over.abort());
      const opened = this.#open(browser, end, over.signal);
      opened.catch((error: unknown) => end({ how: 'again', failure: failures.launch(error) }));
      return await ended;
    } finally {
      this.#endVisit = undefined;
      this.#page = undefined;
      await browser.close();
    }
  }

  /** Opens the page, and ends the visit where that can't be done. */
  async #open({ context }: RunningBrowser, end: (visit: VisitEnd) => void, over: AbortSignal): Promise<void> {
    const { coordinatorUrl, model, engine, wallet } = this.#options;
    const page = context.pages()[0] ?? (await context.newPage());
    page.on('crash', () => end({ how: 'again', failure: failures.crashed('The page') }));
    // Only the name: a message could quote a prompt.
    page.on('pageerror', (error) => this.#notice(`The page reported a ${error.name}.`));
    let spoke = false;
    await page.exposeBinding('tussahHost', (_, json: unknown) => {
      const snapshot = readSnapshot(json);
      if (snapshot === undefined || over.aborted) return;
      spoke = true;
      this.#take(snapshot, end);
    });
    this.#page = page;
    const address = new URL(CONTRIBUTE_PATH, coordinatorUrl);
    address.hash = formatContributeHash({ auto: true, model, engine, wallet });
    for (let failed = 0; ;) {
      const failure = await this.#goto(page, address);
      if (over.aborted) return;
      if (failure === undefined) break;
      const final = failure.code !== 'unreachable';
      if (final || ++failed > this.#timing.restartsMax)
        return end({ how: 'final', reason: final ? 'failed' : 'unreachable', failure });
      await this.#wait(failed - 1, failure);
      if (this.#stopping !== 'no') return end({ how: 'stopped' });
    }
    await pause(this.#timing.firstSnapshotMs, undefined, { signal: over, ref: false }).catch(() => undefined);
    if (!spoke) end({ how: 'again', failure: failures.silent(coordinatorUrl) });
  }

  async #goto(page: Page, address: URL): Promise<Failure | undefined> {
    try {
      const options = { waitUntil: 'domcontentloaded', timeout: this.#timing.openPageMs } as const;
      const status = (await page.goto(address.href, options))?.status() ?? 200;
      if (status >= 500) return failures.unreachable(address.origin, `HTTP ${status}`);
      return status >= 400 ? failures.noPage(address, status) : undefined;
    } catch (error) {
      return failures.unreachable(address.origin, errorName(error));
    }
  }

  /** Says what failed and waits before it is tried again. */
  async #wait(attempt: number, { message }: Failure): Promise<void> {
    const delayMs = backOffMs(this.#timing.restartBackOff, attempt, Math.random());
    this.#notice(`${message} Trying again in ${Math.ceil(delayMs / 1000)} s.`);
    await pause(delayMs, undefined, { signal: this.#stoppingNow.signal }).catch(() => undefined);
  }

  #take(snapshot: ContributorSnapshot, end: (visit: VisitEnd) => void): void {
    this.snapshot = snapshot;
    for (const listener of this.#onSnapshot) listener(snapshot);
    if (snapshot.phase === 'stopped') end({ how: 'stopped' });
    if (snapshot.phase !== 'failed') return;
    const failure = snapshot.failure ?? failures.crashed('The page');
    if (curable.has(failure.code)) end({ how: 'again', failure });
    else end({ how: 'final', reason: 'failed', failure });
  }

  /** The first time, finds out how this browser shows a GPU to pages. */
  async #launch(executable: string, dir: string): Promise<RunningBrowser> {
    const { engine, softwareWebGpu = 'auto' } = this.#options;
    if (this.#webGpu === undefined) {
      const found = await findGpu(executable, dir, engine, softwareWebGpu);
      this.#webGpu = found.webGpu;
      if (found.notice !== undefined) this.#notice(found.notice);
      if (found.browser !== undefined) return found.browser;
    }
    return launch(executable, dir, this.#webGpu);
  }

  #notice(sentence: string): void {
    for (const listener of this.#onNotice) listener(sentence);
  }

  #ended(reason: HeadlessEnd['reason'], failure: Failure | null): HeadlessEnd {
    return { reason, failure, snapshot: this.snapshot };
  }
}

const errorName = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return /net::(ERR_\w+)/.exec(text)?.[1] ?? (error instanceof Error ? error.name : 'unknown');
};

const profileTaken = (wallet: string | null): string =>
  'Another browser is using this profile: this run has a temporary one, with a new key and no models kept.' +
  (wallet === null ? ' Without --wallet, what it earns stays with a key that is deleted at the end.' : '');
