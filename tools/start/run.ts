/** One `npm start` from its set-up to its end. */
import type { Failure } from '@tussah/protocol/errors';
import { ensureBrowser } from '../setup/browser.ts';
import { killAll } from '../setup/processes.ts';
import { defaultQuestion, type StartArguments } from './arguments.ts';
import { checkBooks } from './books.ts';
import { Everything } from './everything.ts';
import type { Phases } from './phases.ts';
import { askQuestion, type Answered } from './question.ts';
import { answerReport, stayingReport } from './report.ts';
import { ensureSite } from './site.ts';

export interface Outcome {
  readonly answered: Answered | null;
  /** Null where the books were not looked at. */
  readonly ledgerBalanced: boolean | null;
  readonly failure: Failure | null;
}

export const failedOutcome = (failure: Failure): Outcome => ({
  answered: null,
  ledgerBalanced: null,
  failure,
});

/** `onOpen` gets what runs before anything of it is started, so that a signal can end it. */
export async function start(
  args: StartArguments,
  phases: Phases,
  onOpen: (all: Everything) => void,
): Promise<Outcome> {
  const browser = await phases.measure('find the browser', ensureBrowser);
  if (!browser.ok) return failedOutcome(browser.failure);
  const site = await phases.measure('build the site', ensureSite);
  if (!site.ok) return failedOutcome(site.failure);
  const opened = Everything.open(args);
  if (!opened.ok) return failedOutcome(opened.failure);
  const all = opened.value;
  onOpen(all);
  try {
    const outcome = await serve(all, args, phases);
    const drained = await phases.measure('stop', () => all.stop(outcome.failure === null));
    const { answered } = outcome;
    if (args.once === null || answered === null) return outcome;
    if (!drained) return { ...outcome, failure: badEnd };
    const books = await phases.measure('check the books', () =>
      checkBooks(all.data, answered.receipt.coordinator),
    );
    if (!books.ok) return { ...outcome, ledgerBalanced: false, failure: books.failure };
    return { ...outcome, ledgerBalanced: true };
  } finally {
    killAll();
    all.close();
  }
}

/** Up to the answer, and for a staying start until it is interrupted. */
async function serve(all: Everything, args: StartArguments, phases: Phases): Promise<Outcome> {
  const out = args.json ? process.stderr : process.stdout;
  const url = await phases.measure('start the coordinator', () => all.startCoordinator());
  if (!url.ok) return failedOutcome(url.failure);
  const network = await phases.measure('start the contributor', () => all.startContributor(url.value));
  if (!network.ok) return failedOutcome(network.failure);
  const text = args.once ?? defaultQuestion;
  out.write(args.once === null ? `\n> ${text}\n` : '');
  const question = {
    url: url.value,
    text,
    model: args.model,
    tier: args.tier,
    coordinator: network.value.coordinator,
  };
  const answered = await phases.measure('ask', () =>
    askQuestion(question, (delta) => out.write(delta), all.signal),
  );
  out.write('\n');
  if (!answered.ok) return failedOutcome(all.signal.aborted ? all.why : answered.failure);
  out.write(`\n${answerReport(answered.value)}\n`);
  const outcome = { answered: answered.value, ledgerBalanced: null, failure: null };
  if (args.once !== null) return outcome;
  out.write(`\n${stayingReport(url.value)}\n`);
  await aborted(all.signal);
  // That somebody wanted it to end is no failure.
  if (all.why.code !== 'interrupted') return { ...outcome, failure: all.why };
  process.stderr.write('\nStopping; Ctrl-C again stops at once ...\n');
  return outcome;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

const badEnd: Failure = {
  code: 'coordinator_failed',
  message: 'The coordinator did not end well when it was asked to.',
  remedy: 'Run the command again with --verbose to see its log.',
};
