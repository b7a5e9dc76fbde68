/** `npm run proxy`: private answers for any program that speaks OpenAI's API. */
import type { Failure } from '@tussah/protocol/errors';
import { CoordinatorApi } from '../private/coordinator-api.ts';
import { defaultPatience, PrivateClient } from '../private/private-client.ts';
import { simulatedWarning } from '../private/protection.ts';
import { exitCodes, help, readArguments, told, type ProxyArguments } from './proxy-options.ts';
import { startProxy, type ProxyServer } from './proxy-server.ts';
import { openState, type ProxyState } from './proxy-state.ts';

/** A terminal and npm may both pass on the same key press. */
const SAME_SIGNAL_MS = 1_000;

const firstSight =
  'Nothing is remembered of this coordinator: its key and directory are believed as they come first. Pin the key with --coordinator-key.';

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const parsed = readArguments(args, process.env);
  if (!parsed.ok) return fail(parsed.failure, args.includes('--json'), exitCodes.usage);
  if (parsed.value === 'help') {
    process.stdout.write(help);
    return exitCodes.stopped;
  }
  const options = parsed.value;
  let state: ProxyState;
  let server: ProxyServer;
  let known: boolean;
  try {
    state = openState(options.stateFolder);
    known = options.coordinatorKey !== null || (await state.heads.load(options.baseURL)) !== undefined;
    server = await start(options, state);
  } catch (error) {
    const { code = 'unknown', syscall = 'it' } = error as NodeJS.ErrnoException;
    const taken = code === 'EADDRINUSE' || code === 'EACCES';
    const remedy =
      taken && syscall === 'listen' ? 'Choose another --port.' : 'Choose another --state folder.';
    const message = `The proxy can't start: ${syscall} failed with ${code}.`;
    return fail({ code: 'not_started', message, remedy }, options.json, exitCodes.failed);
  }
  // Before anything is said: whoever reads it may ask it to stop at once.
  const stopped = untilStopped(server, (text) => say(options, { event: 'notice', text }, text));
  announce(options, state, server, known);
  return stopped;
}

function start(options: ProxyArguments, { token, heads }: ProxyState): Promise<ProxyServer> {
  const { baseURL, apiKey, policy, coordinatorKey, port, padding, maxPriceNano } = options;
  const client = new PrivateClient({ baseURL, apiKey, policy, coordinatorKey, heads, maxPriceNano });
  const api = new CoordinatorApi({ baseURL, apiKey, fetch, timeoutMs: defaultPatience.requestMs });
  const models = new Set(Object.keys(policy.models));
  const onBug = (name: string) => process.stderr.write(`A request failed: ${name}.\n`);
  return startProxy({ client, api, models, padding, port, token, onBug });
}

/** `known`: the coordinator's key is pinned, or was seen before. */
function announce(
  options: ProxyArguments,
  { token, tokenPath }: ProxyState,
  { port }: ProxyServer,
  known: boolean,
): void {
  const { policy, baseURL } = options;
  const url = `http://127.0.0.1:${port}/v1`;
  const models = Object.keys(policy.models);
  const simulated = policy.simulatedRoots.length > 0;
  const notices = [
    ...(simulated ? [simulatedWarning] : []),
    ...(known ? [] : [firstSight]),
    ...(models.length === 0
      ? ['The policy names no model and no image, so every question is refused. Give one with --policy FILE.']
      : []),
  ];
  const facts = { event: 'listening', url, token, tokenPath, coordinator: baseURL, policy: policy.name };
  say(
    options,
    { ...facts, models, simulated, notices },
    [
      `Private answers at ${url}, by ${baseURL} under the policy "${policy.name}".`,
      `API key: ${token}`,
      `         (in ${tokenPath}; remove the file for a new one)`,
      ...notices,
      'Ctrl-C to stop.',
    ].join('\n'),
  );
}

/** The first signal lets running answers end, a second one does not. */
function untilStopped(server: ProxyServer, notice: (text: string) => void): Promise<number> {
  return new Promise((resolve) => {
    let firstMs: number | undefined;
    const onSignal = () => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        notice('Finishing the running answers, then stopping. Once more to stop at once.');
        void server.close(true).then(() => resolve(exitCodes.stopped));
      } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
        void server.close(false).then(() => resolve(exitCodes.interrupted));
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}

function say({ json }: Pick<ProxyArguments, 'json'>, value: object, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
}

function fail(failure: Failure, json: boolean, exitCode: number): number {
  if (json) process.stdout.write(`${JSON.stringify({ event: 'failed', failure })}\n`);
  process.stderr.write(told(failure));
  return exitCode;
}

process.exitCode = await main();
