/** `npm run contribute`: the headless contributor as a command. */
import type { Failure } from '@tussah/protocol/errors';
import { startHeadlessContributor } from './host.ts';
import { type ContributeArguments, exitCodes, help, readArguments } from './options.ts';
import { StatusPrinter } from './status-line.ts';

/** A terminal and npm may both pass on the same key press. */
const SAME_SIGNAL_MS = 1_000;

const told = ({ message, remedy }: Failure) => `${message}\n${remedy}\n`;

async function main(): Promise<number> {
  const parsed = readArguments(process.argv.slice(2));
  if (!parsed.ok) {
    if (process.argv.includes('--json')) say({ type: 'end', reason: 'usage', failure: parsed.failure });
    process.stderr.write(told(parsed.failure));
    return exitCodes.usage;
  }
  if (parsed.value === 'help') {
    process.stdout.write(help);
    return 0;
  }
  return contribute(parsed.value);
}

async function contribute(options: ContributeArguments): Promise<number> {
  const { json, maxMs } = options;
  const printer = new StatusPrinter(process.stdout);
  const host = startHeadlessContributor(options);
  const notice = (sentence: string) => (json ? say({ type: 'notice', sentence }) : printer.line(sentence));
  host.onNotice(notice);
  host.onSnapshot((snapshot) => (json ? say({ type: 'snapshot', ...snapshot }) : printer.snapshot(snapshot)));
  if (!json) printer.line(`Contributing ${options.model} to ${options.coordinatorUrl}. Ctrl-C to stop.`);

  let signalledMs: number | undefined;
  let interrupted = false;
  const onSignal = () => {
    const nowMs = performance.now();
    if (signalledMs === undefined) {
      signalledMs = nowMs;
      notice('Finishing the running answer, then stopping. Once more to stop at once.');
      void host.stop({ finish: true });
    } else if (nowMs - signalledMs > SAME_SIGNAL_MS && !interrupted) {
      interrupted = true;
      notice('Stopping at once.');
      void host.stop({ finish: false });
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  const beganMs = performance.now();
  // Checked by the minute, since timers can't be set for more than 24 days.
  const bound = setInterval(() => {
    if (maxMs === null || performance.now() - beganMs < maxMs) return;
    clearInterval(bound);
    notice('The time set by --max-hours is over: finishing the running answer.');
    void host.stop({ finish: true });
  }, 60_000);
  if (maxMs !== null && maxMs < 60_000) setTimeout(() => void host.stop({ finish: true }), maxMs).unref();

  const end = await host.closed;
  clearInterval(bound);
  const exitCode = interrupted ? exitCodes.interrupted : exitCodes[end.reason];
  if (json) say({ type: 'end', reason: end.reason, exitCode, failure: end.failure });
  else if (end.failure === null) printer.line('Stopped.');
  else printer.line(told(end.failure).trimEnd());
  return exitCode;
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

process.exitCode = await main();
