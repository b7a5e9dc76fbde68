/** A contributor in a browser of its own, whose frames can be held back and which can be killed in many ways. */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import {
  CONTRIBUTE_PATH,
  formatContributeHash,
  readSnapshot,
  type EngineChoice,
} from '@tussah/worker-runtime/contributor/host-bridge';
import type { Browser, CDPSession, Page, WebSocketRoute } from 'playwright';

export interface ContributorOptions {
  readonly browser: Browser;
  readonly url: string;
  readonly model: string;
  readonly engine: EngineChoice;
  /** Sees every frame to the coordinator; false holds it back for ever. */
  readonly passes: (frame: ContributorFrame, from: KillableContributor) => boolean;
}

export class KillableContributor {
  readonly browser: Browser;
  readonly page: Page;
  readonly cdp: CDPSession;
  readonly browserCdp: CDPSession;
  #gpuProcess: number | undefined;
  #sockets: WebSocketRoute[] = [];
  #cut = false;

  private constructor(browser: Browser, page: Page, cdp: CDPSession, browserCdp: CDPSession) {
    this.browser = browser;
    this.page = page;
    this.cdp = cdp;
    this.browserCdp = browserCdp;
  }

  /** Resolves once it is ready for jobs. */
  static async open({
    browser,
    url,
    model,
    engine,
    passes,
  }: ContributorOptions): Promise<KillableContributor> {
    const context = await browser.newContext();
    const page = await context.newPage();
    const contributor = new KillableContributor(
      browser,
      page,
      await context.newCDPSession(page),
      await browser.newBrowserCDPSession(),
    );
    await page.routeWebSocket('**/worker', (socket) => contributor.#relay(socket, passes));
    const ready = Promise.withResolvers<void>();
    // Before the page loads: on a busy page the answer may come when the page has been killed, which Playwright does not bear.
    await page.exposeFunction('tussahHost', (text: string) => {
      const snapshot = readSnapshot(text);
      if (snapshot?.phase === 'ready') ready.resolve();
      if (snapshot?.phase === 'failed') ready.reject(new Error(JSON.stringify(snapshot.failure)));
    });
    const hash = formatContributeHash({ auto: true, model, engine, wallet: null });
    await Promise.all([page.goto(`${url}${CONTRIBUTE_PATH}${hash}`), ready.promise]);
    const { processInfo } = await contributor.browserCdp.send('SystemInfo.getProcessInfo');
    contributor.#gpuProcess = processInfo.find(({ type }) => type.toLowerCase() === 'gpu')?.id;
    return contributor;
  }

  /** Its process id. */
  gpuProcess(): number {
    if (this.#gpuProcess === undefined) throw new Error('this browser has no GPU process');
    return this.#gpuProcess;
  }

  /** Ends its connection, and lets none of its attempts at a new one through. */
  async cutConnection(): Promise<void> {
    this.#cut = true;
    await Promise.all(this.#sockets.map((socket) => socket.close()));
  }

  #relay(socket: WebSocketRoute, passes: ContributorOptions['passes']): void {
    if (this.#cut) return;
    const server = socket.connectToServer();
    this.#sockets.push(socket, server);
    socket.onMessage((message) => {
      if (passes(JSON.parse(message.toString()) as ContributorFrame, this)) server.send(message);
    });
    server.onMessage((message) => socket.send(message));
  }
}
