/** All that one `npm start` runs: started in order, watched, and stopped in the opposite order. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Policy } from '@tussah/attestation/policy/policy';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import type { Network } from '@tussah/protocol/network';
import { startActivity } from '../setup/activity.mjs';
import { tryLock } from '../setup/lock.mjs';
import { root } from '../setup/processes.ts';
import { defaultPort, type StartArguments } from './arguments.ts';
import { startContributor, type Contributor } from './contributor.ts';
import { startCoordinator, type Coordinator } from './coordinator.ts';
import { readNetwork, waitForContributor } from './network.ts';
import {
  simulatedPolicy,
  startConfidentialNode,
  type ConfidentialNode,
  type SimulatedPolicy,
} from './node.ts';
import { choosePort, isPortFree } from './port.ts';
import { interrupted } from './question.ts';

/** `--once` begins its search here: mostly the same port, so that the kept profile finds its model again. */
const oncePort = 4280;

export class Everything {
  readonly #args: StartArguments;
  readonly #ending = new AbortController();
  readonly #undo: (() => void)[] = [];
  #stopping = false;
  #coordinator: Coordinator | undefined;
  #contributor: Contributor | undefined;
  #node: ConfidentialNode | undefined;
  #policy: SimulatedPolicy | null = null;
  /** Where the coordinator keeps its books. */
  readonly data: string;

  private constructor(args: StartArguments, data: string) {
    this.#args = args;
    this.data = data;
  }

  /** Takes the folders; starts nothing yet. */
  static open(args: StartArguments): Result<Everything, 'already_running'> {
    const own = join(root, '.tussah');
    if (args.once !== null) {
      mkdirSync(own, { recursive: true });
      const all = new Everything(args, mkdtempSync(join(tmpdir(), 'tussah-once-')));
      all.#undo.push(() => rmSync(all.data, { recursive: true, force: true }));
      return ok(all);
    }
    // The coordinator's own default, so that `npm run coordinator -- keys ...` finds the running one.
    const data = join(own, 'coordinator');
    mkdirSync(data, { recursive: true });
    const release = tryLock(join(own, 'coordinator.lock'));
    if (release === undefined)
      return fail({
        code: 'already_running',
        message: 'Another `npm start` of this folder is running, and has its books open.',
        remedy: 'Use that one, or stop it first; `npm start -- --once "TEXT"` works beside it.',
      });
    const all = new Everything(args, data);
    all.#undo.push(release);
    return ok(all);
  }

  /** Aborted as soon as something ended that should not have, or `interrupt` was called. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Why `signal` was aborted. */
  get why(): Failure {
    return (this.signal.reason as Failure | undefined) ?? interrupted;
  }

  /** Ends it in order; the first reason counts. */
  interrupt(why: Failure = interrupted): void {
    this.#ending.abort(why);
  }

  /** Once for a question of the public tier, the private one is left out: nobody would see it. */
  get servesPrivately(): boolean {
    return this.#args.once === null || this.#args.tier === 'private';
  }

  get servesPublicly(): boolean {
    return this.#args.once === null || this.#args.tier === 'public';
  }

  /** What the node's evidence is verified against. Throws where no node is run. */
  get policy(): Policy {
    if (this.#policy === null) throw new Error('there is no confidential node');
    return this.#policy.policy;
  }

  async startCoordinator(): Promise<Result<string>> {
    const { port: wanted, once, verbose } = this.#args;
    if (this.servesPrivately) {
      const policy = await simulatedPolicy();
      if (!policy.ok) return policy;
      this.#policy = policy.value;
    }
    const nodePolicy = this.#policy?.path ?? null;
    const usual = once === null ? defaultPort : oncePort;
    for (let first = wanted ?? usual; ;) {
      const port = await choosePort(first, wanted !== null);
      if (!port.ok) return port;
      const started = await startCoordinator({
        port: port.value,
        data: this.data,
        nodePolicy,
        verbose,
      });
      if (started.ok) {
        if (port.value !== (wanted ?? usual) && once === null)
          process.stderr.write(`Port ${usual} is taken; using ${port.value}.\n`);
        this.#coordinator = started.value;
        void this.#watchCoordinator(started.value);
        return ok(started.value.url);
      }
      // Another program may have taken the port since it was found free: that is the one reason to try again.
      if (wanted !== null || this.signal.aborted || (await isPortFree(port.value))) return started;
      first = port.value + 1;
    }
  }

  /** Resolves once anybody can see on the network that the contributor is ready. */
  async startContributor(url: string): Promise<Result<Network>> {
    const { model, engine, once } = this.#args;
    const activity = startActivity('Starting the contributor');
    this.#contributor = startContributor({
      url,
      model,
      engine,
      profileDir: join(root, '.tussah', 'profiles', once === null ? 'start' : 'once'),
      onSentence: (sentence) => activity.note(sentence),
    });
    void this.#watchContributor(this.#contributor);
    const network = await waitForContributor(url, model, this.signal);
    if (network === undefined) {
      activity.failed();
      return fail(this.why);
    }
    activity.done();
    return ok(network);
  }

  /** Resolves once the coordinator has accepted the node's evidence. */
  async startNode(url: string): Promise<Result<true>> {
    const { verbose } = this.#args;
    const { node, attested } = startConfidentialNode({ url, data: this.data, verbose });
    this.#node = node;
    const result = await Promise.race([attested, this.#interrupted()]);
    if (result.ok) void this.#watchNode(node);
    return result;
  }

  /** What the network says of itself, once it answers. */
  async network(url: string): Promise<Result<Network>> {
    const network = await readNetwork(url, this.signal);
    return network === undefined ? fail(this.why) : ok(network);
  }

  /** Stops what was started, the coordinator last. Resolves with whether the coordinator ended well. */
  async stop(finish: boolean): Promise<boolean> {
    this.#stopping = true;
    await Promise.all([this.#contributor?.stop(finish), this.#node?.stop()]);
    const exit = await this.#coordinator?.stop();
    return exit?.code === 0;
  }

  /** Gives back locks and temporary folders; the last thing to do. */
  close(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }

  async #watchCoordinator({ exited, died }: Coordinator): Promise<void> {
    const exit = await exited;
    if (!this.#stopping) this.#ending.abort(died(exit));
  }

  async #watchContributor({ failed }: Contributor): Promise<void> {
    const failure = await failed;
    if (!this.#stopping) this.#ending.abort(failure);
  }

  /** A node that is gone ends a start for a private question; else the rest of the network goes on. */
  async #watchNode({ exited, died }: ConfidentialNode): Promise<void> {
    const exit = await exited;
    if (this.#stopping) return;
    const failure = died(exit);
    if (this.#args.tier === 'private') this.#ending.abort(failure);
    else process.stderr.write(`\n${failure.message}\nThe private tier is not served any more.\n`);
  }

  #interrupted(): Promise<Result<never>> {
    return new Promise((resolve) => {
      const end = () => resolve(fail(this.why));
      if (this.signal.aborted) end();
      else this.signal.addEventListener('abort', end, { once: true });
    });
  }
}
