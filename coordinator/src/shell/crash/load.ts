/** The load under which a coordinator is killed: contributors that come back by themselves, and clients that never rest. */
import type { Receipt } from '@tussah/protocol/receipts';
import { ScriptedContributor, type Script, type ScriptedPiece } from '../scripted-contributor.ts';
import { BUILD, MODEL, piecesOf } from '../testing/harness.ts';
import {
  askAgainAndAgain,
  askOnce,
  askPlainly,
  askResumably,
  type Asked,
  type Client,
  type ClientKind,
} from './clients.ts';

const CONTRIBUTORS = 3;
/** More than there are contributors, so that some always wait. */
const clients = [
  askResumably,
  askResumably,
  askResumably,
  askResumably,
  askPlainly,
  askPlainly,
  askAgainAndAgain,
  askOnce,
  askOnce,
];
const PIECE_MS = 6;

/** Long enough for some checkpoints, with characters of several bytes, and different for each question. */
export const answerTo = (question: number): string =>
  `Answer ${question}: oak leaves, шёлк 🐛, and again oak leaves; ${question * 7919} of them, each by itself, until it spins.`;

const known = new Map<number, readonly ScriptedPiece[]>();

function piecesFor(question: number): readonly ScriptedPiece[] {
  const pieces = known.get(question) ?? piecesOf(answerTo(question), PIECE_MS);
  known.set(question, pieces);
  return pieces;
}

export const idsFor = (question: number): number[] => piecesFor(question).flatMap(({ ids }) => ids);

/** Tokens of the beginning of an answer; undefined for text that no contributor can have sent. */
export function tokensIn(question: number, text: string): number | undefined {
  let tokens = 0;
  let begun = '';
  for (const piece of piecesFor(question)) {
    if (begun.length >= text.length) break;
    tokens += piece.ids.length;
    begun += piece.text;
  }
  return begun === text ? tokens : undefined;
}

export class Load {
  readonly asked: Asked[] = [];
  /** What contributors were told that is not so. */
  readonly faults: string[] = [];
  readonly contributors: ScriptedContributor[] = [];
  readonly #questionOf = new Map<string, number>();
  #next = 1;
  #stopping = false;
  #running: Promise<void>[] = [];

  async start(url: string, keys: readonly string[]): Promise<void> {
    for (let i = 0; i < CONTRIBUTORS; i++)
      this.contributors.push(
        await ScriptedContributor.connect({
          url,
          model: MODEL,
          build: BUILD,
          script: this.#script,
          reconnects: true,
        }),
      );
    this.#running = clients.map((ask, i) => this.#askOn(ask, { url, key: keys[i % keys.length] ?? '' }));
  }

  /** Lets every client end the question it is at. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  leave(): void {
    for (const contributor of this.contributors) contributor.vanish();
  }

  /** The receipts that belong to a question: one for each job it became. */
  receiptsOf(question: number, receipts: readonly Receipt[]): Receipt[] {
    return receipts.filter(({ jobId }) => this.#questionOf.get(jobId) === question);
  }

  count(kind: ClientKind, code: string | null): number {
    return this.asked.filter((asked) => asked.kind === kind && asked.code === code).length;
  }

  async #askOn(ask: (client: Client, question: number) => Promise<Asked>, client: Client): Promise<void> {
    while (!this.#stopping) this.asked.push(await ask(client, this.#next++));
  }

  readonly #script: Script = ({ jobId, prompt, prefix }) => {
    const question = Number(/Question (\d+)/.exec(prompt.text)?.[1]);
    this.#questionOf.set(jobId, question);
    const ids = idsFor(question);
    const begun = prefix.ids.every((id, i) => id === ids[i]) && tokensIn(question, prefix.text);
    if (begun !== prefix.ids.length) this.faults.push(`question ${question} is to go on after other tokens`);
    let position = 0;
    return piecesFor(question).filter((piece) => {
      position += piece.ids.length;
      return position > prefix.ids.length;
    });
  };
}
