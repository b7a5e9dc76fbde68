/** What the contributor needs from around it. The browser's own are in browser-ports.ts; tests bring scripted ones. */
import type { EngineName } from '@tussah/protocol/engine-profile';
import type { Result } from '@tussah/protocol/errors';
import type { Identity } from '@tussah/protocol/signatures';
import type { AnswerPort } from '../engine/answer-port.ts';
import type { EngineBuild } from '../engine/port.ts';
import type { ContributorSettings } from './snapshot.ts';

export interface SocketHandlers {
  onOpen(): void;
  /** Text of one frame, or whatever else came. */
  onMessage(data: unknown): void;
  /** Once, and nothing after it. */
  onClose(reason: string): void;
}

export interface SessionSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface Clock {
  /** Milliseconds that never go back. */
  nowMs(): number;
  /** Calls `fn` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, fn: () => void): () => void;
  /** In [0, 1). */
  random(): number;
}

/** One build of a model, chosen for this device. */
export interface BuildChoice {
  readonly model: string;
  readonly build: EngineBuild;
  readonly engine: EngineName;
  /** Why it isn't the preferred engine; null when it is. */
  readonly engineNote: string | null;
}

export interface IdentityStore {
  /** This browser's key for this origin, made at the first call. */
  load(): Promise<Result<Identity>>;
}

export interface Lease {
  release(): void;
}

export interface Leadership {
  /** Null when another tab holds the name. */
  acquire(name: string): Promise<Lease | null>;
}

export interface ContributorPorts {
  readonly openSocket: (url: string, handlers: SocketHandlers) => SessionSocket;
  readonly chooseBuild: (settings: ContributorSettings) => Promise<Result<BuildChoice>>;
  /** A new engine, not loaded; called again after one was lost. */
  readonly engineFor: (choice: BuildChoice) => AnswerPort | Promise<AnswerPort>;
  readonly identities: IdentityStore;
  readonly leadership: Leadership;
  readonly clock: Clock;
  /** Software and version, such as `tussah-web/0.1.0`. */
  readonly agent: string;
}
