/** Honest people beside the attack: contributors that answer, and a client that asks all the time and checks what it gets. */
import type { ChatCompletion } from '@tussah/protocol/chat-response';
import type { JobOffer } from '@tussah/protocol/contributor-frames';
import { verifyReceipt } from '@tussah/protocol/receipts';
import { pause, ScriptedContributor, type Script, type ScriptedPiece } from '../scripted-contributor.ts';
import { BUILD, MODEL, piecesOf } from '../testing/harness.ts';
import type { Target } from './target.ts';

export const ANSWER = '12 + 7 = 19. And 19 + 7 = 26. Then 26 + 7 = 33.';
const pieces = piecesOf(ANSWER);

/** Keeps every bound of the offer, and goes on after whatever others have delivered. */
const honestScript: Script = async (offer, contributor) => {
  contributor.send({ type: 'job-accept', jobId: offer.jobId });
  const [first, ...others] = piecesFor(offer);
  // Without a delay an honest one would be too fast as well, when many ask for little, and be sent away.
  const paced = first === undefined ? [] : [{ ...first, delayMs: THINK_MS }, ...others];
  const ids = await contributor.deliver(offer, paced);
  if (ids === undefined) return;
  const length = offer.prefix.ids.length + ids.length;
  await contributor.finish(offer, ids, length >= offer.maxTokens ? 'length' : 'stop');
};

/** At most 50 jobs a second, most of which take three frames: 200 a second are allowed. */
const THINK_MS = 20;

/** Tokens in one frame: a contributor that sends each by itself is soon too fast when many ask for little. */
const BATCH = 8;

/** What an honest contributor says to an offer. */
export function piecesFor(offer: JobOffer): ScriptedPiece[] {
  let room = offer.maxTokens - offer.prefix.ids.length;
  const left = ANSWER.startsWith(offer.prefix.text)
    ? piecesOf(ANSWER.slice(offer.prefix.text.length))
    : pieces;
  const said = left.filter((piece) => (room -= piece.ids.length) >= 0);
  return Array.from({ length: Math.ceil(said.length / BATCH) }, (_, i) => {
    const batch = said.slice(i * BATCH, (i + 1) * BATCH);
    return { ids: batch.flatMap((piece) => piece.ids), text: batch.map((piece) => piece.text).join('') };
  });
}

const cheapest = { promptNanoPerMillion: '1', completionNanoPerMillion: '1' };

export const honestContributor = (url: string): Promise<ScriptedContributor> =>
  ScriptedContributor.connect({ url, model: MODEL, build: BUILD, script: honestScript, ask: cheapest });

/** Asks again and again until it is told to stop. */
export class HonestClient {
  /** What went wrong, for the one who reads the test's report. */
  readonly complaints: string[] = [];
  answered = 0;
  slowestMs = 0;
  readonly #target: Target;
  readonly #key: string;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(target: Target, key: string) {
    this.#target = target;
    this.#key = key;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startedMs = performance.now();
      try {
        const complaint = await this.#ask();
        if (complaint !== undefined) this.complaints.push(complaint);
      } catch (error) {
        this.complaints.push(String(error));
        // It may be down for good: no need to say so a thousand times.
        await pause(200);
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedMs);
      this.answered += 1;
      await pause(20);
    }
  }

  async #ask(): Promise<string | undefined> {
    const response = await fetch(`${this.#target.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#key}` },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'What is 12 + 7?' }] }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (response.status !== 200) return `${response.status} ${text}`;
    const { choices, tussah } = JSON.parse(text) as ChatCompletion;
    const verdict = await verifyReceipt(tussah.receipt, this.#target.publicKey);
    if (!verdict.valid) return `a receipt that is not valid: ${JSON.stringify(verdict)}`;
    // Hostile contributors may have begun it with words of their own; alone, an honest one says this.
    const alone = tussah.receipt.segments.length === 1;
    if (alone && choices[0]?.message.content !== ANSWER) return `a wrong answer: ${text}`;
    return undefined;
  }
}
