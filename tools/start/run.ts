/** One `npm start` from its set-up to its end. */
import { ok, type Failure, type Result } from '@tussah/protocol/errors';
import type { Network } from '@tussah/protocol/network';
import { ensureBrowser } from '../setup/browser.ts';
import { killAll } from '../setup/processes.ts';
import { defaultModel, defaultQuestion, type StartArguments } from './arguments.ts';
import { checkBooks } from './books.ts';
import { Everything } from './everything.ts';
import type { Phases } from './phases.ts';
import { askPrivately, type AnsweredPrivately } from './private-question.ts';
import { askQuestion, type Answered } from './question.ts';
import { answerReport, stayingReport } from './report.ts';
import { ensureSite } from './site.ts';

export interface Outcome {
  readonly answered: Answered | AnsweredPrivately | null;
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
  // One private question needs neither: no browser takes part in its answer.
  if (args.once === null || args.tier === 'public') {
    const browser = await phases.measure('find the browser', ensureBrowser);
    if (!browser.ok) return failedOutcome(browser.failure);
    const site = await phases.measure('build the site', ensureSite);
    if (!site.ok) return failedOutcome(site.failure);
  }
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
  const serving = await startServing(all, url.value, args, phases);
  if (!serving.ok) return failedOutcome(serving.failure);
  const text = args.once ?? defaultQuestion;
  out.write(args.once === null ? `\n> ${text}\n` : '');
  const { coordinator } = serving.value.network;
  const question = { url: url.value, text, model: args.model, coordinator };
  const onText = (delta: string) => out.write(delta);
  const answered = await phases.measure('ask', (): Promise<Result<Answered | AnsweredPrivately>> =>
    args.tier === 'private'
      ? askPrivately({ ...question, policy: all.policy }, onText, all.signal)
      : askQuestion(question, onText, all.signal),
  );
  out.write('\n');
  if (!answered.ok) return failedOutcome(all.signal.aborted ? all.why : answered.failure);
  out.write(`\n${answerReport(answered.value)}\n`);
  const outcome = { answered: answered.value, ledgerBalanced: null, failure: null };
  if (args.once !== null) return outcome;
  out.write(`\n${stayingReport(url.value, serving.value.privateTier)}\n`);
  await aborted(all.signal);
  // That somebody wanted it to end is no failure.
  if (all.why.code !== 'interrupted') return { ...outcome, failure: all.why };
  process.stderr.write('\nStopping; Ctrl-C again stops at once ...\n');
  return outcome;
}

interface Serving {
  readonly network: Network;
  readonly privateTier: string;
}

/** Contributor and node, at the same time. What the question does not need may fail, and is said to have. */
async function startServing(
  all: Everything,
  url: string,
  args: StartArguments,
  phases: Phases,
): Promise<Result<Serving>> {
  const [network, node] = await Promise.all([
    all.servesPublicly
      ? phases.measure('start the contributor', () => all.startContributor(url))
      : all.network(url),
    all.servesPrivately ? phases.measure('start the simulated node', () => all.startNode(url)) : null,
  ]);
  if (!network.ok) return network;
  if (node === null) return ok({ network: network.value, privateTier: 'not served' });
  if (node.ok) return ok({ network: network.value, privateTier: simulatedTier });
  if (args.tier === 'private' || all.signal.aborted) return node;
  process.stderr.write(`\n${node.failure.message}\n${node.failure.remedy}\n`);
  return ok({ network: network.value, privateTier: 'not served: its simulated node did not start' });
}

const simulatedTier = `a SIMULATED node serves ${defaultModel}; its evidence proves nothing (.tussah/simulated/policy.json)`;

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
