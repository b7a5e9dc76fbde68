/** Frames and drivers for the tests of the session machine. */
import type { CoordinatorFrame, JobOffer } from '@tussah/protocol/contributor-frames';
import { step } from './session-machine.ts';
import {
  type Announcement,
  type Effect,
  initialState,
  type SessionEvent,
  type SessionState,
} from './session-state.ts';

export const hex = (digits: number, digit = 'a') => digit.repeat(digits);
export const jobId = (n: number) => `job_${String(n).padStart(24, '0')}`;
export const sessionId = (n: number) => `sess_${String(n).padStart(24, '0')}`;

export const announcement: Announcement = {
  model: 'tiny',
  build: 'fake-tiny',
  profile: { engine: 'fake', version: '1', prefix: 'ids', seedBlock: 1, replay: 'bit-exact' },
  tokensPerSecond: 10,
  ask: { promptNanoPerMillion: '1', completionNanoPerMillion: '10' },
  contextTokens: 512,
};

export const offer = (n: number, part: Partial<JobOffer> = {}): JobOffer => ({
  type: 'job-offer',
  jobId: jobId(n),
  model: 'tiny',
  build: 'fake-tiny',
  prompt: { text: 'hi', ids: [1, 2] },
  prefix: { text: '', ids: [] },
  sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
  maxTokens: 100,
  stop: [],
  seedRoot: 'root',
  topLogprobs: null,
  price: { promptNanoPerMillion: '1', completionNanoPerMillion: '10' },
  ...part,
});

export const welcome = (
  session: number,
  resumed: { jobId: string; position: number }[] = [],
): Extract<CoordinatorFrame, { type: 'welcome' }> => ({
  type: 'welcome',
  sessionId: sessionId(session),
  heartbeatMs: 15_000,
  earnedNano: '5',
  networkFeeBasisPoints: 500,
  resumed,
});

export const frames = {
  challenge: { type: 'challenge', protocol: 'tussah.v1', coordinator: hex(64), nonce: hex(64, 'b') },
  welcome: welcome(1),
  'job-offer': offer(1),
  'job-cancel': { type: 'job-cancel', jobId: jobId(1), reason: 'the client left' },
  'job-settled': {
    type: 'job-settled',
    jobId: jobId(1),
    receiptId: `rcp_${'0'.repeat(24)}`,
    tokens: 3,
    payNano: '70',
    earnedNano: '75',
  },
  ping: { type: 'ping', n: 7 },
  drain: { type: 'drain', reason: 'update', reconnectAfterMs: 2_000 },
  refused: { type: 'refused', code: 'too_fast', message: 'Too fast.', remedy: 'Slow down.', retry: true },
} as const satisfies { [Type in CoordinatorFrame['type']]: Extract<CoordinatorFrame, { type: Type }> };

export const hello = {
  type: 'hello',
  protocol: 'tussah.v1',
  publicKey: hex(64, 'c'),
  signature: hex(128, 'd'),
  wallet: null,
  agent: 'test/1',
} as const;

/** Steps one machine and keeps what it asked for. */
export class Driver {
  state: SessionState = initialState;
  nowMs = 1_000;
  random = 0;
  /** Of the last step. */
  effects: readonly Effect[] = [];

  step(event: SessionEvent, afterMs = 0): this {
    this.nowMs += afterMs;
    const next = step(this.state, event, { nowMs: this.nowMs, random: this.random });
    this.state = next.state;
    this.effects = next.effects;
    return this;
  }

  frame(frame: CoordinatorFrame, afterMs = 0): this {
    return this.step({ type: 'frame', connection: this.state.connection, frame }, afterMs);
  }

  time(afterMs: number): this {
    return this.step({ type: 'time' }, afterMs);
  }

  /** From connecting to welcomed. */
  join(session = 1, resumed: { jobId: string; position: number }[] = []): this {
    const { connection } = this.state;
    this.step({ type: 'socket-open', connection });
    this.frame(frames.challenge);
    this.step({ type: 'hello-signed', connection, hello });
    return this.frame(welcome(session, resumed));
  }

  start(): this {
    return this.step({ type: 'start', announcement });
  }

  delta(n: number, position: number, text = 'x', afterMs = 0): this {
    return this.step({ type: 'delta', jobId: jobId(n), delta: { position, ids: [position], text } }, afterMs);
  }

  drop(): this {
    return this.step({ type: 'socket-closed', connection: this.state.connection, reason: 'Lost.' });
  }

  sent(): string[] {
    return this.effects.flatMap((effect) => (effect.do === 'send' ? [effect.frame.type] : []));
  }
}
