/** The real thing for tests of the whole: a coordinator in a process of its own, contributors in real Chromium, the books. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { ContributorSnapshot } from '@tussah/worker-runtime/contributor/snapshot';
import type { EngineChoice } from '@tussah/worker-runtime/contributor/host-bridge';
import { startHeadlessContributor, type HeadlessContributor } from '@tussah/worker-runtime/headless/host';
import { browserArguments, findBrowser, sandboxPossible } from '@tussah/worker-runtime/headless/find-browser';
import { verifyBooks } from '@tussah/coordinator/verify/verify-books';
import OpenAI from 'openai';
import { chromium, type Browser } from 'playwright';

export const root = resolve(import.meta.dirname, '..');
export const MODEL = 'tussah-tiny';

/** Engines that the tests of the whole run with. */
export const engines: readonly EngineChoice[] = ['webllm', 'wllama'];

export class NetworkUnderTest {
  readonly url: string;
  readonly folder: string;
  readonly #coordinator: ChildProcess;
  readonly #contributors: HeadlessContributor[] = [];
  readonly #browsers: Browser[] = [];
  readonly log: string[];

  private constructor(url: string, folder: string, coordinator: ChildProcess, log: string[]) {
    this.url = url;
    this.folder = folder;
    this.#coordinator = coordinator;
    this.log = log;
  }

  /** `script` may be a coordinator with other settings. */
  static async start(
    flags: readonly string[] = [],
    script = 'coordinator/src/main.ts',
  ): Promise<NetworkUnderTest> {
    const folder = mkdtempSync(join(tmpdir(), 'tussah-e2e-'));
    const data = join(folder, 'data');
    const args = [join(root, script), '--port', '0', '--data', data, ...flags];
    const coordinator = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log: string[] = [];
    createInterface({ input: coordinator.stderr }).on('line', (line) => log.push(line));
    const url = await new Promise<string>((done, failed) => {
      createInterface({ input: coordinator.stdout }).on('line', (line) =>
        done((JSON.parse(line) as { url: string }).url),
      );
      coordinator.once('exit', (code) =>
        failed(new Error(`the coordinator ended with ${code}:\n${log.join('\n')}`)),
      );
    });
    return new NetworkUnderTest(url, folder, coordinator, log);
  }

  /** A contributor in a browser of its own; resolves once it is ready. */
  async contribute(name: string, engine: EngineChoice): Promise<HeadlessContributor> {
    const host = startHeadlessContributor({
      coordinatorUrl: this.url,
      model: MODEL,
      engine,
      wallet: null,
      profileDir: join(this.folder, name),
    });
    this.#contributors.push(host);
    await this.phase(host, (snapshot) => snapshot.phase === 'ready');
    return host;
  }

  /** Waits until a contributor shows what is wanted; fails when it ends before. */
  async phase(
    host: HeadlessContributor,
    wanted: (snapshot: ContributorSnapshot) => boolean,
  ): Promise<ContributorSnapshot> {
    return new Promise((done, failed) => {
      const look = (snapshot: ContributorSnapshot) => {
        if (!wanted(snapshot)) return;
        stopListening();
        done(snapshot);
      };
      const stopListening = host.onSnapshot(look);
      if (host.snapshot !== null) look(host.snapshot);
      void host.closed.then((end) => failed(new Error(`contributor ended: ${JSON.stringify(end.failure)}`)));
    });
  }

  /** A browser to look at the site with. */
  async browser(): Promise<Browser> {
    const executablePath = findBrowser();
    const browser = await chromium.launch({
      ...(executablePath === undefined ? {} : { executablePath }),
      args: browserArguments({ softwareWebGpu: true, sandbox: sandboxPossible() }),
    });
    this.#browsers.push(browser);
    return browser;
  }

  /** An account with credit, and OpenAI's own client for it. */
  async client(creditNano = '1000000000'): Promise<OpenAI> {
    const token = readFileSync(join(this.folder, 'data/admin-token'), 'utf8').trim();
    const response = await fetch(`${this.url}/v1/admin/accounts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'e2e', creditNano }),
    });
    const { key } = (await response.json()) as { key: string };
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey: key, maxRetries: 0 });
  }

  /** Ends everything; throws when the books do not verify. */
  async stop(): Promise<void> {
    await Promise.all(this.#browsers.map((browser) => browser.close()));
    await Promise.all(this.#contributors.map((host) => host.stop({ finish: false })));
    const exited = new Promise((done) => this.#coordinator.once('exit', done));
    this.#coordinator.kill('SIGTERM');
    await exited;
    const verdict = await verifyBooks(join(this.folder, 'data/coordinator.sqlite'));
    rmSync(this.folder, { recursive: true, force: true });
    const faults = verdict.checks.filter((check) => !check.ok);
    if (faults.length > 0) throw new Error(`the books do not verify: ${JSON.stringify(faults)}`);
  }
}
