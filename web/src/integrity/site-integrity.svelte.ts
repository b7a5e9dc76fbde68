/** What this browser knows about the site's own files, as its service worker tells it. */
import { SITE_CHANGED, type SiteReport, type SiteRequest } from '../service-worker/site-report.ts';

const CHECK_EVERY_MS = 3_600_000;
const ANSWER_MS = 20_000;

export type Protection =
  /** Nobody looks at the files: no secure address, a browser without service workers, or the development server. */
  | 'none'
  /** The first visit; the copy is being made. */
  | 'starting'
  | 'development'
  | 'guarded';

class SiteIntegrity {
  report: SiteReport | null = $state.raw(null);
  #possible: boolean = $state(possible());
  protection: Protection = $derived(protectionOf(this.report, this.#possible));
  /** The release that this page was loaded from. */
  #page: string | null = $state(null);
  /** Whether the next load will be of another release than this page's. */
  ready: boolean = $derived(
    this.protection === 'guarded' &&
      this.#page !== null &&
      this.report?.installed !== undefined &&
      this.report.installed?.sha256 !== this.#page,
  );

  /** Registers the service worker and listens to it; returns how to stop. */
  start(): () => void {
    if (!this.#possible) return () => undefined;
    const workers = navigator.serviceWorker;
    const onMessage = ({ data }: MessageEvent<unknown>) => {
      if (data === SITE_CHANGED) void this.#ask('report');
    };
    workers.addEventListener('message', onMessage);
    void this.#begin(workers);
    const timer = setInterval(() => void this.#ask('check'), CHECK_EVERY_MS);
    return () => {
      workers.removeEventListener('message', onMessage);
      clearInterval(timer);
    };
  }

  /** Gives up the kept copy and loads what the server has: its owner's decision, as at the first visit. */
  async trustServerAnew(): Promise<void> {
    await this.#ask('forget');
    location.reload();
  }

  async #begin(workers: ServiceWorkerContainer): Promise<void> {
    try {
      // Asking for it again would only make the browser look for another worker sooner.
      const registered = await workers.getRegistration('/');
      if (registered === undefined) await workers.register('/service-worker.js', { scope: '/' });
      await workers.ready;
      await this.#ask('report');
    } catch {
      // The browser refuses, as some do in private windows, or the server has no worker.
      this.#possible = false;
    }
  }

  async #ask(request: SiteRequest): Promise<void> {
    const worker = navigator.serviceWorker.controller ?? (await navigator.serviceWorker.ready).active;
    if (worker === null) return;
    const report = await answerOf(worker, request);
    if (report === undefined) return;
    this.#page ??= report.page ?? report.installed?.sha256 ?? null;
    this.report = report;
  }
}

/** A host runs this page with nobody to read a notice, in a browser of its own. */
const possible = (): boolean =>
  import.meta.env.PROD && isSecureContext && 'serviceWorker' in navigator && window.tussahHost === undefined;

function protectionOf(report: SiteReport | null, possible: boolean): Protection {
  if (!possible) return 'none';
  return report === null || report.installed === null ? 'starting' : report.mode;
}

/** Undefined when the worker does not answer. */
function answerOf(worker: ServiceWorker, request: SiteRequest): Promise<SiteReport | undefined> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    const timer = setTimeout(() => done(undefined), ANSWER_MS);
    port1.addEventListener('message', ({ data }: MessageEvent<SiteReport>) => {
      clearTimeout(timer);
      port1.close();
      done(data);
    });
    port1.start();
    worker.postMessage(request, [port2]);
  });
}

export const siteIntegrity = new SiteIntegrity();
