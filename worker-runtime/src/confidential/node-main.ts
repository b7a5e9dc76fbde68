/** `npm run node`: the confidential node as a command. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ok, type Failure, type Result } from '@tussah/protocol/errors';
import { systemClock } from './clock.ts';
import { ConfidentialNode } from './confidential-node.ts';
import { CollateralCache } from './hardware/collateral/collateral-cache.ts';
import { fetchCollateral } from './hardware/collateral/fetch-bounded.ts';
import { HardwareAttester } from './hardware/hardware-attester.ts';
import { kernelFiles, tsmReportFolder } from './hardware/tsm-report.ts';
import { openIdentity } from './identity-file.ts';
import { jsonLog, type Log } from './log.ts';
import { modelDigest } from './model-digest.ts';
import { exitCodes, nodeHelp, readNodeOptions, type NodeOptions } from './node-options.ts';
import type { Attester, Clock } from './ports.ts';
import { openNodeSocket } from './session/node-socket.ts';
import { SimulatedAttester } from './simulated/simulated-attester.ts';
import { openSimulatedWorld } from './simulated/world-folder.ts';
import { embeddedWeights } from './upstream/embedded/embedded-facts.ts';
import { startEmbedded, type EmbeddedUpstream } from './upstream/embedded/start-embedded.ts';
import { LocalUpstream } from './upstream/local-upstream.ts';
import { loopbackOf } from './upstream/loopback.ts';

/** A terminal and npm may both pass on the same key press. */
const SAME_SIGNAL_MS = 1_000;
const root = fileURLToPath(new URL('../../../', import.meta.url));

const SIMULATED = `
  ############################################################################
  #  SIMULATED: this node's evidence is made up and proves nothing. Whoever  #
  #  runs this machine can read every prompt. Use it for development only.   #
  ############################################################################

`;

/** Some of these sentences are the coordinator's, and go to a terminal. */
const told = ({ message, remedy }: Failure) =>
  [message, remedy].map((text) => `${text.replaceAll(/\p{Cc}/gu, ' ')}\n`).join('');

async function main(): Promise<number> {
  const parsed = readNodeOptions(process.argv.slice(2));
  if (!parsed.ok) {
    process.stderr.write(told(parsed.failure));
    return exitCodes.usage;
  }
  if (parsed.value === 'help') {
    process.stdout.write(nodeHelp);
    return exitCodes.stopped;
  }
  const options = parsed.value;
  const log = jsonLog(options.hardware?.tee ?? 'simulated', (line) => process.stderr.write(line));
  stopOnBugs(log);
  if (options.hardware === null) process.stderr.write(SIMULATED);
  const upstream = await openUpstream(options);
  if (!upstream.ok) return ended(log, upstream.failure, exitCodes.upstream);
  try {
    return await serve(options, upstream.value, log);
  } finally {
    await upstream.value.embedded?.stop();
  }
}

interface OpenUpstream {
  readonly upstream: LocalUpstream;
  readonly weights: string;
  readonly embedded: EmbeddedUpstream | undefined;
}

async function openUpstream({ upstream, model, concurrency }: NodeOptions): Promise<Result<OpenUpstream>> {
  if (upstream === null) {
    const embedded = await startEmbedded(concurrency, version());
    if (!embedded.ok) return embedded;
    const { to } = embedded.value;
    const executables = process.platform === 'linux' ? [process.execPath] : null;
    const local = new LocalUpstream({ to, model, executables, embedded: true });
    return ok({ upstream: local, weights: embeddedWeights, embedded: embedded.value });
  }
  const { url, model: name, executables, weights } = upstream;
  const to = await loopbackOf(url);
  if (!to.ok) return to;
  const local = new LocalUpstream({ to: to.value, model: name, executables, embedded: false });
  return ok({ upstream: local, weights, embedded: undefined });
}

async function serve(
  options: NodeOptions,
  { upstream, weights, embedded }: OpenUpstream,
  log: Log,
): Promise<number> {
  const clock = systemClock();
  const facts = await upstream.identify();
  if (!facts.ok) return ended(log, facts.failure, exitCodes.upstream);
  const { kind, version: upstreamVersion, contextTokens } = facts.value;
  log.info('upstream', { kind, version: upstreamVersion, contextTokens });
  const [digest, identity] = await Promise.all([modelDigest(weights), openIdentity(options.identityFile)]);
  if (!digest.ok) return ended(log, digest.failure, exitCodes.failed);
  if (!identity.ok) return ended(log, identity.failure, exitCodes.failed);
  log.info('model', { model: options.model, digest: digest.value, identity: identity.value.publicKey });
  if (options.wallet === null && options.identityFile === null)
    log.warn('earnings-stay', { why: 'no wallet, and an identity that ends with this process' });
  const attester = await openAttester(options, digest.value, clock, log);
  const usable = await attester.check();
  if (!usable.ok) return ended(log, usable.failure, exitCodes['no-evidence']);
  const { model, price, concurrency, suite, lifeMs, wallet, coordinatorUrl } = options;
  const node = new ConfidentialNode(
    {
      goods: {
        suite,
        identity: identity.value.publicKey,
        model,
        modelDigest: digest.value,
        price,
        concurrency,
        lifeMs,
      },
      identity: identity.value,
      wallet,
      agent: `tussah-node/${version()}`,
    },
    {
      attester,
      upstream,
      clock,
      log,
      openSocket: (handlers) => openNodeSocket(coordinatorUrl, handlers),
      onTold: (what) => {
        if (what.event !== 'attested') return;
        const line = { ...what, model, attestation: attester.kind };
        process.stdout.write(`${JSON.stringify(line)}\n`);
      },
    },
  );
  const interrupted = stopOnSignals(node);
  node.start();
  const gone = embedded?.exited.then((): Failure => ({
    code: 'embedded_failed',
    message: 'The embedded upstream ended unexpectedly.',
    remedy: 'Start the node again; a machine short of memory ends processes.',
  }));
  const failure = await Promise.race([node.ended, ...(gone === undefined ? [] : [gone])]);
  node.stop();
  if (interrupted()) return exitCodes.interrupted;
  if (failure === null) return exitCodes.stopped;
  if (failure.code === 'internal' || failure.code === 'embedded_failed')
    return ended(log, failure, exitCodes.failed);
  // The node has logged it.
  process.stderr.write(told(failure));
  return exitCodes.refused;
}

async function openAttester(
  { hardware, stateFolder, model }: NodeOptions,
  digest: string,
  clock: Clock,
  log: Log,
): Promise<Attester> {
  if (hardware === null) {
    const folder = stateFolder ?? join(root, '.tussah', 'simulated');
    const { world, policyPath } = await openSimulatedWorld(folder, { [model]: { digest } }, Date.now());
    log.warn('simulated', { policy: policyPath });
    return new SimulatedAttester(world, () => clock.nowMs());
  }
  const { tee, image, nvattest, tdx, kds, ocsp } = hardware;
  return new HardwareAttester({
    kind: tee,
    image,
    nvattest: nvattest === null ? null : { executable: nvattest },
    tsmFolder: tsmReportFolder,
    tsmFiles: kernelFiles,
    tdx,
    kds,
    ocsp,
    fetch: fetchCollateral,
    cache: new CollateralCache(() => clock.nowMs(), log),
  });
}

/** The first signal lets the jobs end, the second does not. The result tells whether there was a second. */
function stopOnSignals(node: ConfidentialNode): () => boolean {
  let firstMs: number | undefined;
  let interrupted = false;
  const onSignal = () => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      node.finish();
    } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
      interrupted = true;
      node.stop();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return () => interrupted;
}

/** Node would print the message, which may quote what it was about. */
function stopOnBugs(log: Log): void {
  const end = (error: unknown) => {
    log.error('bug', { name: error instanceof Error ? error.name : 'unknown' });
    process.exit(exitCodes.failed);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

/** In the log with its code, which the runbook explains, and in words. */
function ended(log: Log, failure: Failure, exitCode: number): number {
  const { code, message } = failure;
  log.error('failed', { code, message });
  process.stderr.write(told(failure));
  return exitCode;
}

function version(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const value = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : '';
  return String(value);
}

process.exitCode = await main();
// A connection that is being closed is not waited for.
setTimeout(() => process.exit(), 1_000).unref();
