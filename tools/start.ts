/** `npm start`: everything on this machine, opened with a real answer and its receipt. */
import { constants } from 'node:os';
import { catalogue } from '@tussah/models/catalogue';
import { failure, type Failure } from '@tussah/protocol/errors';
import { killAll } from './setup/processes.ts';
import { parseStartArguments, startHelp } from './start/arguments.ts';
import type { Everything } from './start/everything.ts';
import { Phases } from './start/phases.ts';
import { failedOutcome, start, type Outcome } from './start/run.ts';

/** npm passes on a Ctrl-C that the terminal has sent already: what comes this soon is the same one. */
const sameSignalMs = 1000;

const args = process.argv.slice(2);
let signalled: NodeJS.Signals | undefined;
let running: Everything | undefined;

await main();
// Whatever may still be open now, such as a connection that is being closed, is not waited for.
setTimeout(() => process.exit(), 1000).unref();

async function main(): Promise<void> {
  const parsed = parseStartArguments(
    args,
    catalogue.map((model) => model.id),
  );
  if (!parsed.ok) return finish(failedOutcome(parsed.failure));
  if (parsed.value.kind === 'help') {
    process.stdout.write(startHelp);
    return;
  }
  stopOnSignals();
  stopOnBugs();
  const phases = new Phases();
  const outcome = await start(parsed.value.arguments, phases, (all) => (running = all)).catch(
    (error: unknown) => failedOutcome(bug(error)),
  );
  if (parsed.value.arguments.verbose) process.stderr.write(`${phases.toString()}\n`);
  finish(outcome);
}

/** The first signal ends it in order, the second at once; so does the first while only the set-up is running. */
function stopOnSignals(): void {
  let firstAtMs: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (firstAtMs !== undefined && performance.now() - firstAtMs < sameSignalMs) return;
      if (firstAtMs !== undefined || running === undefined) {
        killAll();
        running?.close();
        process.exit(128 + constants.signals[signal]);
      }
      firstAtMs = performance.now();
      signalled = signal;
      running.interrupt();
    });
}

/** An error that nobody caught, such as one inside of Playwright while its browser ends, still ends all in order. */
function stopOnBugs(): void {
  process.on('uncaughtException', (error) => {
    if (running === undefined) {
      finish(failedOutcome(bug(error)));
      process.exit();
    }
    if (!running.signal.aborted) running.interrupt(bug(error));
  });
}

/** Says what went wrong, and with `--json` everything, on the last line of stdout. */
function finish({ answered, ledgerBalanced, failure }: Outcome): void {
  if (failure !== null) {
    process.stderr.write(`\n${failure.message}\n${failure.remedy}\n`);
    process.exitCode = signalled === undefined ? 1 : 128 + constants.signals[signalled];
  }
  if (!args.includes('--json')) return;
  const { code, message, remedy } = failure ?? {};
  const error = failure === null ? {} : { error: { code, message, remedy } };
  console.log(
    JSON.stringify({ ...answered, ...(ledgerBalanced === null ? {} : { ledgerBalanced }), ...error }),
  );
}

function bug(error: unknown): Failure {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return failure('internal', `npm start failed: ${error instanceof Error ? error.message : String(error)}`);
}
