/** The rounds of the bench: in each, every subject is asked in turn, so that a slow moment of the machine hits all alike. */
import { ANSWER_MS, eightTokens, oneToken, type Pacing } from './pacing.ts';
import { cpuOf, residentBytesOf } from './process-tree.ts';
import type { Load, Stage, Subject } from './stage.ts';

/** Enough at once to keep a gateway busy. */
const FULL: Load = { clients: 64, seconds: 2, spreadMs: 0 };
/** Many streams, each slow beside the gateway: what a network's clients and contributors are. */
const PACED: Load = { clients: 128, seconds: 3, spreadMs: ANSWER_MS };
/** So few that even the slowest gateway is not busy: what it adds is then its work, not its queue. */
const CALM: Load = { clients: 8, seconds: 4, spreadMs: ANSWER_MS };
const ROUNDS = 3;
export const STREAMS = 500;
/** After the last of the streams began. */
const SETTLE_MS = 1_000;

const each = ({ clients, seconds }: Load) => `${clients} clients, ${ROUNDS} rounds of ${seconds} s`;

/** How each figure is made, for whoever reads the result. */
export const method = {
  CPU: `without pauses, ${each(FULL)}, the median; user and system time of all processes of the system`,
  'CPU in rhythm': `${each(PACED)}, the median`,
  latency: `in rhythm, ${each(CALM)}, all answers together; added to that of the upstream asked directly`,
  memory: `resident, after all rounds, with ${STREAMS} streams that have their first token and wait`,
};

/** What was measured of one subject; CPU in microseconds a request. */
export interface Figures {
  readonly cpuUs: number[];
  readonly perSecond: number[];
  readonly batchedCpuUs: number[];
  readonly pacedCpuUs: number[];
  readonly firstMs: number[];
  readonly gapsMs: number[];
  streamsMiB: number;
}

const newFigures = (): Figures => ({
  cpuUs: [],
  perSecond: [],
  batchedCpuUs: [],
  pacedCpuUs: [],
  firstMs: [],
  gapsMs: [],
  streamsMiB: Number.NaN,
});

export async function measure(
  stage: Stage,
  say: (line: string) => void,
): Promise<ReadonlyMap<string, Figures>> {
  const { subjects } = stage;
  const figures = new Map(subjects.map(({ name }) => [name, newFigures()]));
  const rounds = async (
    what: string,
    pacing: Pacing,
    work: (subject: Subject, figures: Figures) => Promise<string>,
  ) => {
    stage.setPacing(pacing);
    for (let round = 1; round <= ROUNDS; round++)
      for (const subject of subjects) {
        const result = await work(subject, figures.get(subject.name) ?? newFigures());
        say(`${what}, round ${round} of ${ROUNDS}: ${subject.name} ${result}`);
      }
  };
  const cpuRounds = (what: string, pacing: Pacing, load: Load, kept: 'batchedCpuUs' | 'pacedCpuUs') =>
    rounds(what, pacing, async (subject, figure) => {
      const { cpuUs, perSecond } = await cpuRound(stage, subject, load);
      figure[kept].push(cpuUs);
      return inWords(cpuUs, perSecond);
    });
  say('warming up');
  for (const subject of subjects) await stage.ask(subject, FULL);
  await rounds('CPU', { rhythm: 'full', batchTokens: oneToken }, async (subject, figure) => {
    const { cpuUs, perSecond } = await cpuRound(stage, subject, FULL);
    figure.cpuUs.push(cpuUs);
    figure.perSecond.push(perSecond);
    return inWords(cpuUs, perSecond);
  });
  await cpuRounds(
    'CPU, 8 tokens a batch',
    { rhythm: 'full', batchTokens: eightTokens },
    FULL,
    'batchedCpuUs',
  );
  await cpuRounds('CPU in rhythm', { rhythm: 'paced', batchTokens: oneToken }, PACED, 'pacedCpuUs');
  await rounds('latency', { rhythm: 'paced', batchTokens: oneToken }, async (subject, figure) => {
    const answers = await stage.ask(subject, CALM);
    figure.firstMs.push(...answers.firstMs);
    figure.gapsMs.push(...answers.gapsMs);
    return `${answers.requests} answers`;
  });
  for (const subject of subjects) {
    const figure = figures.get(subject.name);
    if (figure === undefined || subject.pid === null) continue;
    figure.streamsMiB = (await residentBytesWhileStreaming(stage, subject, subject.pid)) / 2 ** 20;
    say(`${STREAMS} streams: ${subject.name} ${figure.streamsMiB.toFixed(0)} MiB`);
  }
  return figures;
}

const inWords = (cpuUs: number, perSecond: number): string =>
  `${cpuUs.toFixed(0)} us a request, ${perSecond.toFixed(0)} a second`;

/** CPU is NaN for the upstream. */
async function cpuRound(
  stage: Stage,
  subject: Subject,
  load: Load,
): Promise<{ readonly cpuUs: number; readonly perSecond: number }> {
  const cpu = () => (subject.pid === null ? Number.NaN : cpuOf(subject.pid));
  const before = cpu();
  const { requests, seconds } = await stage.ask(subject, load);
  return { cpuUs: (cpu() - before) / requests, perSecond: requests / seconds };
}

/** Memory while all streams are open: each has its first token, and the rest is held back until this was read. */
async function residentBytesWhileStreaming(stage: Stage, subject: Subject, pid: number): Promise<number> {
  stage.setPacing({ rhythm: 'held', batchTokens: eightTokens });
  let bytes = Number.NaN;
  const look = () => {
    bytes = residentBytesOf(pid);
    stage.setPacing({ rhythm: 'full', batchTokens: eightTokens });
  };
  await stage.ask(subject, { clients: STREAMS, seconds: 0, spreadMs: 0 }, () => setTimeout(look, SETTLE_MS));
  return bytes;
}
