/** A contributor: the protocol's other side as an honest one plays it, and the many ways not to. */
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { readyFrame, someBuilds, type Build } from './builds.ts';
import { signatureOf } from './language.ts';
import { anyFrame, lies, type Lie, type Temper } from './lies.ts';
import { Link } from './link.ts';
import { deltaOf, doneOf, falseDelta, goOn, workOn, type Offer, type Work } from './work.ts';
import type { Peer, Wire, Surroundings } from './parts.ts';

type At = 'away' | 'challenge-awaited' | 'welcome-awaited' | 'welcomed' | 'draining' | 'retired';

/** What an honest contributor understands in each state, as in the real one's table. */
const understood: Readonly<Record<At, readonly CoordinatorFrame['type'][]>> = {
  away: [],
  retired: [],
  'challenge-awaited': ['challenge', 'ping', 'refused'],
  'welcome-awaited': ['welcome', 'ping', 'refused'],
  welcomed: ['job-offer', 'job-cancel', 'job-settled', 'ping', 'drain', 'refused'],
  draining: ['job-cancel', 'job-settled', 'ping', 'refused'],
};

export class Contributor implements Peer {
  readonly world: Surroundings;
  readonly temper: Temper;
  publicKey = '';
  readonly #wallet: string | null;
  readonly #builds: readonly Build[];
  readonly #pieceMs: number;
  readonly #pieceTokens: number;
  #at: At = 'away';
  #link: Link | null = null;
  #sessionId: string | null = null;
  #work: Work | null = null;
  #paused = false;
  /** Raised when the work changes: what was planned for another is void. */
  #turn = 0;
  #earnedNano = 0n;

  constructor(world: Surroundings, temper: Temper) {
    const { random } = world;
    this.world = world;
    this.temper = temper;
    this.publicKey = random.hex(64);
    this.#wallet = random.chance(0.5) ? random.pick(world.wallets) : null;
    this.#builds = someBuilds(random);
    this.#pieceMs = random.pick([25, 60, 200]);
    this.#pieceTokens = random.pick([1, 3, 8]);
  }

  get honest(): boolean {
    return this.temper.name === 'honest';
  }

  connect(): void {
    const { process, random, weather } = this.world;
    if (this.#at !== 'away' || this.world.over) return;
    if (process === null) return this.#connectLater(random.around(2_000));
    if (random.chance(this.temper.rename)) this.#rename();
    this.#at = 'challenge-awaited';
    this.#link = new Link(this.world, process, this, random.chance(weather.shakyShare));
    if (random.chance(this.temper.garbage)) this.#sendGarbage();
  }

  lost(link: Wire): void {
    if (link !== this.#link) return;
    this.#link = null;
    const { random } = this.world;
    if (this.#at !== 'retired') this.#at = 'away';
    // A short break, which may be mended in time, or a long one.
    this.#connectLater(random.chance(0.7) ? random.around(1_000) : random.between(5_000, 60_000));
  }

  hear(link: Wire, frame: CoordinatorFrame): void {
    if (link !== this.#link) return;
    if (!understood[this.#at].includes(frame.type)) {
      if (this.honest && !link.shaky)
        this.world.complain(`an honest contributor was sent ${frame.type} while ${this.#at}`);
      return this.#hangUp();
    }
    switch (frame.type) {
      case 'challenge':
        return this.#hello(frame.nonce);
      case 'welcome':
        return this.#onWelcome(frame);
      case 'job-offer':
        return this.#onOffer(link, frame);
      case 'job-cancel':
        if (this.#work?.offer.jobId === frame.jobId) this.#drop();
        return undefined;
      case 'job-settled':
        return this.#onSettled(link, frame);
      case 'ping':
        return this.#send({ type: 'pong', n: frame.n });
      case 'drain':
        this.#at = 'draining';
        return this.#rest();
      case 'refused':
        return this.#onRefused(link, frame);
      default:
        return frame satisfies never;
    }
  }

  // Sessions.

  #hello(nonce: string): void {
    const { random } = this.world;
    const forged = !this.honest && random.chance(this.temper.lie / 4);
    const signature = forged ? 'forged' : signatureOf(this.publicKey, `hello|${nonce}`);
    const { publicKey } = this;
    this.#at = 'welcome-awaited';
    this.#send({
      type: 'hello',
      protocol: 'tussah.v1',
      publicKey,
      signature,
      wallet: this.#wallet,
      agent: 'sim',
      resume: this.#sessionId,
    });
    if (random.chance(this.temper.garbage)) this.#sendGarbage();
  }

  #onWelcome(frame: Extract<CoordinatorFrame, { type: 'welcome' }>): void {
    const resumed = frame.sessionId === this.#sessionId;
    if (frame.resumed.length > (resumed ? 1 : 0) && this.honest)
      this.world.complain('a welcome resumes jobs of another session');
    this.#at = 'welcomed';
    this.#sessionId = frame.sessionId;
    for (const build of this.#builds) this.#announce(build);
    this.#resume(frame.resumed[0]);
    if (this.#paused || this.world.random.chance(0.1)) this.#status(this.#paused ? 'paused' : 'ready');
  }

  #announce(build: Build): void {
    const strange = !this.honest && this.world.random.chance(this.temper.lie / 8);
    const tokensPerSecond = Math.round((this.#pieceTokens * 1000) / this.#pieceMs);
    this.#send(readyFrame(strange ? { ...build, build: 'unlisted' } : build, tokensPerSecond));
  }

  /** What the coordinator still wants is sent from where it stands; anything else is dropped. */
  #resume(wanted: { readonly jobId: string; readonly position: number } | undefined): void {
    const work = this.#work;
    if (work === null || wanted?.jobId !== work.offer.jobId) {
      if (wanted !== undefined)
        this.#send({ type: 'job-failed', jobId: wanted.jobId, code: 'job_unknown', message: 'not here' });
      return this.#drop();
    }
    if (wanted.position < work.first || wanted.position > work.first + work.ids.length)
      this.world.complain(`a job was resumed at ${wanted.position}, which is not of this contributor`);
    this.#sendFrom(work, wanted.position - work.first);
    if (work.last !== null) this.#send(work.last);
  }

  #onRefused(link: Wire, { code, retry }: Extract<CoordinatorFrame, { type: 'refused' }>): void {
    const innocent = ['timeout', 'session_replaced', 'shutting_down'];
    if (this.honest && !link.shaky && !innocent.includes(code))
      this.world.complain(`an honest contributor was refused: ${code}`);
    this.#hangUp();
    this.#sessionId = null;
    if (retry || this.honest) return;
    this.#rename();
  }

  #rename(): void {
    this.publicKey = this.world.random.hex(64);
    this.#sessionId = null;
    this.#earnedNano = 0n;
    this.#drop();
  }

  #hangUp(): void {
    const link = this.#link;
    if (link === null) return;
    link.closeByContributor();
    this.#link = null;
    if (this.#at !== 'retired') this.#at = 'away';
    this.#connectLater(this.world.random.around(3_000));
  }

  #connectLater(delayMs: number): void {
    this.world.agenda.after(delayMs, () => this.connect());
  }

  // Jobs.

  #onOffer(link: Wire, offer: Offer): void {
    const { random } = this.world;
    const work = this.#work;
    if (work !== null && work.last === null) {
      if (work.offer.jobId === offer.jobId && !link.shaky)
        this.world.complain('a job was offered that already runs here');
      return this.#send({ type: 'job-decline', jobId: offer.jobId, reason: 'busy' });
    }
    const nothingLeft = offer.prefix.ids.length >= offer.maxTokens;
    if (this.#paused || nothingLeft || random.chance(this.temper.decline))
      return this.#send({ type: 'job-decline', jobId: offer.jobId, reason: 'no' });
    this.#turn += 1;
    this.#work = workOn(offer, random.chance(this.temper.forge));
    if (random.chance(this.temper.garbage)) this.#sendGarbage();
    const slowly = random.chance(0.02 * this.temper.slowness) ? 6_000 : 0;
    this.#soon(random.around(20 * this.temper.slowness) + slowly, () => {
      this.#sendLive({ type: 'job-accept', jobId: offer.jobId });
      if (random.chance(this.temper.garbage)) this.#sendGarbage();
      this.#nextPiece();
    });
  }

  /** Plans something of the present work, which is void when the work changes. */
  #soon(delayMs: number, act: () => void): void {
    const turn = this.#turn;
    this.world.agenda.after(delayMs, () => {
      if (turn === this.#turn && this.#work !== null) act();
    });
  }

  #nextPiece(): void {
    this.#soon(this.world.random.around(this.#pieceMs * this.temper.slowness), () => this.#piece());
  }

  #piece(): void {
    const { random, weather, agenda } = this.world;
    const { temper } = this;
    const work = this.#work;
    if (work === null) return;
    const misfortune = this.honest ? weather.misfortune : 0;
    if (random.chance(temper.stall)) return;
    if (random.chance(temper.vanish)) return this.#vanish();
    if (random.chance(temper.drop + misfortune)) this.#link?.break();
    if (random.chance(temper.fail)) return this.#fail(work);
    if (random.chance(temper.garbage)) this.#sendGarbage();
    if (random.chance(temper.lie)) return this.#lie(work, random.pick(lies));
    const from = work.ids.length;
    const more = goOn(work, this.#pieceTokens, random);
    if (work.forged) this.world.watch.forged(work.offer.jobId);
    this.#sendFrom(work, from);
    if (more) return this.#nextPiece();
    // To be lost after the last token, before it is said to be the last.
    if (random.chance(5 * temper.stall)) return;
    if (random.chance(temper.drop)) this.#link?.break();
    agenda.after(random.around(5), () => {
      if (this.#work === work && work.last === null) this.#finish(work);
    });
  }

  #sendFrom(work: Work, index: number): void {
    const delta = deltaOf(work, index);
    if (delta !== undefined) this.#sendLive(delta);
  }

  #finish(work: Work, lie: Lie | null = null): void {
    const { random } = this.world;
    work.last = doneOf(work, this.publicKey, lie);
    this.#sendLive(work.last);
    if (random.chance(this.temper.garbage)) this.#sendGarbage();
    if (random.chance(this.temper.vanish)) return this.#vanish();
    if (random.chance(this.temper.pause)) this.#pause();
    // A receipt that does not come is not waited for.
    this.#soon(20_000, () => this.#drop());
    return undefined;
  }

  #lie(work: Work, lie: Lie): void {
    if (lie === 'hash' || lie === 'count' || lie === 'signature') return this.#finish(work, lie);
    if (lie === 'too-many' || lie === 'logprobs') this.world.watch.forged(work.offer.jobId);
    return this.#sendLive(falseDelta(work, lie));
  }

  #fail(work: Work): void {
    work.last = { type: 'job-failed', jobId: work.offer.jobId, code: 'engine_failed', message: 'it broke' };
    this.#sendLive(work.last);
    this.#drop();
  }

  #onSettled(link: Wire, frame: Extract<CoordinatorFrame, { type: 'job-settled' }>): void {
    const earned = BigInt(frame.earnedNano);
    if (earned < this.#earnedNano && !link.shaky)
      this.world.complain(`earnings of ${this.publicKey} have shrunk`);
    this.#earnedNano = earned;
    if (this.#work?.last?.type === 'job-done' && this.#work.offer.jobId === frame.jobId) this.#drop();
  }

  #drop(): void {
    this.#work = null;
    this.#turn += 1;
    this.#rest();
  }

  /** A draining connection closes when nothing is left to do. */
  #rest(): void {
    if (this.#at === 'draining' && this.#work === null) this.#hangUp();
  }

  #vanish(): void {
    this.#at = 'retired';
    this.#work = null;
    this.#turn += 1;
    if (this.world.random.chance(0.5)) this.#link?.break();
    else this.#link?.closeByContributor();
    this.#link = null;
    this.world.agenda.after(this.world.random.between(20_000, 120_000), () => {
      this.#at = 'away';
      this.#rename();
      this.connect();
    });
  }

  #pause(): void {
    const { random, agenda } = this.world;
    this.#paused = true;
    this.#status(random.pick(['paused', 'draining']));
    agenda.after(random.around(5_000), () => {
      this.#paused = false;
      this.#status('ready');
    });
  }

  #status(state: 'ready' | 'paused' | 'draining'): void {
    if (this.#at === 'welcomed') this.#send({ type: 'status', state });
  }

  #sendGarbage(): void {
    const { random } = this.world;
    if (random.chance(0.05)) return this.#link?.upMalformed();
    const jobId = random.chance(0.7) ? this.#work?.offer.jobId : undefined;
    return this.#send(anyFrame(random, jobId ?? `job_${random.hex(12)}`, this.publicKey));
  }

  /** Frames about jobs wait for a session; what was not sent by then, `#resume` sends. */
  #sendLive(frame: ContributorFrame): void {
    if (this.#at === 'welcomed' || this.#at === 'draining') this.#send(frame);
  }

  #send(frame: ContributorFrame): void {
    this.#link?.up(frame);
  }
}
