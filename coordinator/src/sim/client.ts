/** Clients: patient and impatient, greedy and malicious, with money and without, with a key or as guests of some network. */
import { hashOfIds } from '@tussah/protocol/bytes';
import { ledgerAccounts } from '../core/ledger.ts';
import { deliveredBy } from '../core/recovery.ts';
import { Ask } from './ask.ts';
import { models, textOf, VOCABULARY } from './language.ts';
import type { Question, Surroundings } from './parts.ts';

/** Probabilities of what a client does. */
interface Habits {
  /** Questions at a time. */
  readonly burst: number;
  /** To leave before the end, at any moment. */
  readonly leaves: number;
  /** To ask resumably; and then to go and come back. */
  readonly resumable: number;
  readonly wanders: number;
  /** To ask for what is hard or impossible to have. */
  readonly odd: number;
  /** To try to get at other people's answers. */
  readonly prowls: number;
  readonly reads: 'well' | 'slowly';
}

const habits: readonly Habits[] = [
  { burst: 1, leaves: 0, resumable: 0, wanders: 0, odd: 0, prowls: 0, reads: 'well' },
  { burst: 1, leaves: 0.05, resumable: 0.5, wanders: 0.2, odd: 0.1, prowls: 0, reads: 'well' },
  { burst: 2, leaves: 0.6, resumable: 0.3, wanders: 0.6, odd: 0.1, prowls: 0, reads: 'well' },
  { burst: 12, leaves: 0.1, resumable: 0.2, wanders: 0.1, odd: 0.2, prowls: 0, reads: 'well' },
  { burst: 2, leaves: 0.2, resumable: 0.6, wanders: 0.3, odd: 0.2, prowls: 0, reads: 'slowly' },
  { burst: 3, leaves: 0.3, resumable: 0.7, wanders: 0.4, odd: 0.6, prowls: 0.5, reads: 'well' },
];

export class Client {
  readonly world: Surroundings;
  readonly #habits: Habits;
  readonly #account: string | null;
  readonly #weight: number;
  readonly #open = new Set<Ask>();

  /** `account` is null for guests, who come from any network. */
  constructor(world: Surroundings, account: string | null, weight: number) {
    this.world = world;
    this.#account = account;
    this.#weight = weight;
    this.#habits = world.random.pick(habits);
  }

  live(): void {
    const { world } = this;
    world.agenda.after(world.random.around(world.weather.thinkMs * this.#habits.burst), () => {
      if (world.over) return;
      this.#act();
      this.live();
    });
  }

  #act(): void {
    const { random, process } = this.world;
    if (process === null) return;
    for (const ask of this.#open) if (ask.isOver) this.#open.delete(ask);
    const burst = random.between(1, this.#habits.burst);
    for (let i = 0; i < burst && this.#open.size < 64; i++) this.#ask();
    if (random.chance(this.#habits.prowls)) this.#prowl();
  }

  #ask(): void {
    const { world } = this;
    const { random, agenda } = world;
    const ask = new Ask(world, this.#question(), this.#habits.reads === 'slowly');
    this.#open.add(ask);
    ask.begin();
    if (random.chance(this.#habits.leaves)) agenda.after(random.around(2_000), () => ask.leave(null));
    else if (random.chance(this.#habits.wanders))
      agenda.after(random.around(1_000), () => ask.leave(random.around(6_000)));
  }

  /** Asks for the rest of somebody's answer with something about it that is not so. */
  #prowl(): void {
    const { world } = this;
    const { process, random, books } = world;
    const cut = [...(process?.state.jobs.values() ?? [])].filter(({ phase }) => phase === 'interrupted');
    const victim = world.watch.shadows.get(cut[random.below(cut.length)]?.request.id ?? '')?.ask;
    if (process === null || victim === undefined || victim.question.resumable === null) return;
    const { flow, prompt, promptHash, stop, resumable } = victim.question;
    const written = books.checkpoints.get(victim.jobId);
    const resumption = {
      jobId: victim.jobId,
      requestHash: resumable.requestHash,
      flow,
      prompt,
      promptHash,
      stop,
    };
    const other = {
      ...resumption,
      ids: [...victim.ids],
      ...random.pick([{ flow: 'nobody' }, { requestHash: 'f'.repeat(64) }, { promptHash: 'f'.repeat(64) }]),
    };
    const lied = written !== undefined && deliveredBy(written) > 0;
    const altered = { ...resumption, ids: victim.ids.map((id, i) => (i === 0 ? (id % 20) + 1 : id)) };
    // Refused once, it does not come again.
    const impostor = new Ask(world, { ...victim.question, resumable: null }, false);
    impostor.impostor = true;
    impostor.jobId = victim.jobId;
    const changed = lied && altered.ids[0] !== victim.ids[0];
    process.streams.resume(impostor, changed && random.chance(0.5) ? altered : other);
  }

  #question(): Question {
    const { random } = this.world;
    const odd = random.chance(this.#habits.odd);
    const guest = this.#account === null;
    const stream = random.chance(0.8);
    const ids = Array.from(
      { length: random.between(1, odd ? 700 : 30) },
      () => 1 + random.below(VOCABULARY - 1),
    );
    const text = textOf(ids) ?? '';
    return {
      accountId: this.#account ?? 'guest',
      payer: guest ? ledgerAccounts.guests : ledgerAccounts.client(this.#account),
      flow: this.#account ?? `guest:${random.below(this.world.networks)}`,
      weight: this.#weight,
      guest,
      stream,
      model: odd && random.chance(0.1) ? 'unknown' : random.chance(0.6) ? 'small' : random.pick(models).id,
      prompt: { text, ids },
      promptHash: hashOfIds(ids),
      sampling: { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      maxTokens: odd ? random.pick([undefined, 1, 2, 500, 32_768]) : random.pick([undefined, 20, 100, 200]),
      stop: [],
      seedRoot: random.chance(0.3) ? `seed:${random.below(1_000)}` : '',
      topLogprobs: random.chance(0.1) ? 2 : null,
      maxPriceNano: odd ? random.pick([undefined, 0n, 50n, 10_000_000n]) : undefined,
      maxTtftMs: odd ? random.pick([undefined, 50, 500]) : undefined,
      minTokensPerSecond: odd ? random.pick([undefined, 10, 100]) : undefined,
      maxWaitMs: odd ? random.pick([0, 300, 300_000]) : random.pick([5_000, 10_000, 60_000]),
      idempotency: random.chance(0.2) ? { key: random.hex(8), requestHash: random.hex(64) } : null,
      resumable: stream && random.chance(this.#habits.resumable) ? { requestHash: random.hex(64) } : null,
    };
  }
}
