/** The coordinator under attack, seen from outside: a child process, its memory, its log and its end. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelsFolder, root } from '../testing/harness.ts';
import { LogWatch } from './log-watch.ts';
import type { ChildMessage } from './target-child.ts';

export interface Memory {
  readonly rss: number;
  /** What JavaScript holds, after a collection. */
  readonly live: number;
  /** CPU time since its start. */
  readonly cpuMs: number;
}

const START_MS = 60_000;

export class Target {
  readonly url: string;
  readonly publicKey: string;
  readonly database: string;
  readonly adminToken: string;
  readonly #child: ChildProcess;
  readonly log: LogWatch;
  readonly #exited: Promise<number | string>;

  private constructor(
    child: ChildProcess,
    dataFolder: string,
    listening: Extract<ChildMessage, { kind: 'listening' }>,
    log: LogWatch,
    exited: Promise<number | string>,
  ) {
    this.#child = child;
    this.log = log;
    this.#exited = exited;
    this.url = listening.url;
    this.publicKey = listening.publicKey;
    this.database = join(dataFolder, 'coordinator.sqlite');
    this.adminToken = readFileSync(join(dataFolder, 'admin-token'), 'utf8');
  }

  static async start(folder: string): Promise<Target> {
    const [dataFolder, siteFolder] = [join(folder, 'data'), join(folder, 'site')];
    mkdirSync(join(siteFolder, 'assets'), { recursive: true });
    writeFileSync(join(siteFolder, 'index.html'), '<!doctype html><title>site</title>');
    writeFileSync(join(siteFolder, 'assets', 'index-abc.js'), 'export {};\n');
    const script = fileURLToPath(new URL('target-child.ts', import.meta.url));
    const child = fork(script, [root, modelsFolder, dataFolder, siteFolder], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const log = new LogWatch();
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => log.take(text));
    const exited = new Promise<number | string>((resolve) => {
      child.on('exit', (code, signal) => resolve(code ?? signal ?? 'gone'));
    });
    const listening = await Promise.race([
      messageFrom(child, 'listening', START_MS),
      exited.then((how) => Promise.reject(new Error(`it ended with ${how}:\n${log.last}`))),
    ]);
    return new Target(child, dataFolder, listening, log, exited);
  }

  /** Undefined while it runs. */
  get ended(): number | string | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined;
  }

  async memory(): Promise<Memory> {
    const told = messageFrom(this.#child, 'memory', 20_000);
    this.#child.send('memory');
    const { rss, live, cpuMs } = await told;
    return { rss, live, cpuMs };
  }

  /** Stops it in good order; returns its exit code, or the signal that ended it. */
  async stop(): Promise<number | string> {
    if (this.#child.connected) this.#child.send('stop');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 30_000);
    const how = await this.#exited;
    clearTimeout(late);
    return how;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function messageFrom<Kind extends ChildMessage['kind']>(
  child: ChildProcess,
  kind: Kind,
  withinMs: number,
): Promise<Extract<ChildMessage, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the coordinator did not answer "${kind}"`)), withinMs);
    const take = (message: unknown) => {
      if ((message as ChildMessage).kind !== kind) return;
      clearTimeout(late);
      child.off('message', take);
      resolve(message as Extract<ChildMessage, { kind: Kind }>);
    };
    child.on('message', take);
  });
}
