/** A coordinator in a process that is killed and started again, at the same address and on the same data. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../testing/harness.ts';
import type { ChildSettings } from './coordinator-child.ts';
import type { KillPlan } from './kill-switch.ts';

const script = fileURLToPath(new URL('coordinator-child.ts', import.meta.url));
/** Under load each phase comes many times a second; the machine may be busy. */
const STARTS_WITHIN_MS = 30_000;
const ENDS_WITHIN_MS = 30_000;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class KilledCoordinator {
  readonly #dataFolder: string;
  readonly #nodePolicy: string | null;
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> | undefined;
  #output = '';
  #errors = '';
  #url = '';
  /** Of the coordinator; the same over all its lives. */
  publicKey = '';

  constructor(dataFolder: string, nodePolicy: string | null = null) {
    this.#dataFolder = dataFolder;
    this.#nodePolicy = nodePolicy;
  }

  /** Known once it was started; it stays the same. */
  get url(): string {
    return this.#url;
  }

  /** Starts a process that dies as planned, or runs on; resolves when it listens or has died. */
  async start(kill: KillPlan | null): Promise<void> {
    const port = this.#url === '' ? 0 : Number(new URL(this.#url).port);
    const settings: ChildSettings = {
      root,
      dataFolder: this.#dataFolder,
      port,
      kill,
      nodePolicy: this.#nodePolicy,
    };
    const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#output = '';
    this.#exited = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
    const listening = new Promise<void>((resolve) => {
      child.stdout.on('data', (data: Buffer) => {
        this.#output += data.toString();
        if (this.#output.includes('\n')) resolve();
      });
    });
    child.stderr.on('data', (data: Buffer) => (this.#errors += data.toString()));
    await within(STARTS_WITHIN_MS, 'the coordinator listens', Promise.race([listening, this.#exited]));
    const line = this.#line('listening');
    // It may die as planned while it recovers what the last one left.
    if (line === undefined && this.#line('killed') !== undefined) return;
    if (line === undefined) throw new Error(`the coordinator did not start: ${this.#errors}`);
    const { url, publicKey } = JSON.parse(line) as { url: string; publicKey: string };
    if (this.publicKey !== '' && publicKey !== this.publicKey) throw new Error('it has another key');
    this.#url = url;
    this.publicKey = publicKey;
  }

  /** Waits until it has killed itself as planned, and nothing else ended it. */
  async killed(plan: KillPlan): Promise<void> {
    const what = `it reaches "${plan.phase}" ${plan.occurrence} times`;
    const exit = await within(ENDS_WITHIN_MS, what, this.#end());
    if (exit.signal !== 'SIGKILL' || this.#line('killed') === undefined)
      throw new Error(`ended by ${exit.signal ?? exit.code} instead of "${plan.phase}": ${this.#errors}`);
  }

  /** Lets it end by itself, as an operator would. */
  async stop(): Promise<Exit> {
    this.#child?.kill('SIGTERM');
    return within(ENDS_WITHIN_MS, 'the coordinator stops', this.#end());
  }

  /** Leaves nothing behind, whatever a test came to. */
  async clear(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** What it said on stderr in all its lives. */
  get errors(): string {
    return this.#errors;
  }

  get adminToken(): string {
    return readFileSync(join(this.#dataFolder, 'admin-token'), 'utf8').trim();
  }

  async newAccount(): Promise<{ readonly account: string; readonly key: string }> {
    const response = await fetch(`${this.#url}/v1/admin/accounts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'a client', creditNano: '1000000000000' }),
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as { account: string; key: string };
  }

  /** A gauge of `/metrics`. */
  async gauge(name: string): Promise<number> {
    const text = await (await fetch(`${this.#url}/metrics`)).text();
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`no gauge ${name}`);
    return Number(value);
  }

  #end(): Promise<Exit> {
    if (this.#exited === undefined) throw new Error('the coordinator was never started');
    return this.#exited;
  }

  #line(event: string): string | undefined {
    return this.#output.split('\n').find((line) => line.includes(`"event":"${event}"`));
  }
}

async function within<Value>(ms: number, what: string, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
