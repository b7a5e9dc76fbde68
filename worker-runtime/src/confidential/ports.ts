/** What the confidential node needs from around it. Tests bring scripted ones. */
import type { Statement } from '@tussah/attestation/binding/statement';
import type { Result } from '@tussah/protocol/errors';
import type { FinishReason } from '@tussah/protocol/sampling';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';

export interface Clock {
  /** Milliseconds since 1970 that never go back while the process lives. */
  nowMs(): number;
  /** Calls `fn` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, fn: () => void): () => void;
  /** In [0, 1). */
  random(): number;
}

export interface SocketHandlers {
  onOpen(): void;
  /** Text of one frame, or whatever else came. */
  onMessage(data: unknown): void;
  /** Once, and nothing after it. */
  onClose(reason: string): void;
}

export interface NodeSocket {
  /** False when too much of what was sent before still waits: the connection is of no use any more. */
  send(text: string): boolean;
  close(code: number, reason: string): void;
}

/** A machine that can say, with evidence, which keys are its own. */
export interface Attester {
  readonly kind: 'tdx' | 'snp' | 'simulated';
  /** Name of the measured image, as policies list it. */
  readonly image: string;
  /** Whether it can work at all, before the node connects. */
  check(): Promise<Result<true>>;
  /** The text of a bundle over this statement, with everything stapled that verifying needs. */
  attest(statement: Statement): Promise<Result<string>>;
}

export interface UpstreamFacts {
  readonly kind: UpstreamKind;
  readonly version: string;
  /** Prompt and answer together. */
  readonly contextTokens: number;
  /** What decides the answers beside the weights, docs/private-tier.md. */
  readonly configDigest: string;
}

export type UpstreamKind = 'vllm' | 'sglang' | 'llama-server' | 'tussah-embedded';

/** How an upstream's answer ended. `promptTokens` is null where the upstream did not say. */
export type UpstreamEnd =
  | {
      readonly how: 'complete';
      readonly finishReason: FinishReason;
      readonly promptTokens: number | null;
      readonly completionTokens: number;
    }
  | { readonly how: 'aborted' }
  | { readonly how: 'failed'; readonly code: 'upstream_failed' | 'too_long' | 'unsupported' };

/** An OpenAI-compatible server on this machine, identified. */
export interface Upstream {
  /** Of the configuration that was identified last; undefined when that failed. */
  readonly configDigest: string | undefined;
  /** Looks again what listens there. Refuses what is not the upstream that was configured. */
  identify(): Promise<Result<UpstreamFacts>>;
  /** The first thing asked that this kind of upstream would not honour; undefined when it honours all. */
  unsupported(inner: InnerRequest): string | undefined;
  /** Tokens of the prompt with its template; null where this kind of upstream can't count them beforehand. */
  countPrompt(inner: InnerRequest, signal: AbortSignal): Promise<Result<number | null>>;
  /** Never rejects. `onText` gets every piece of text as it comes. */
  answer(inner: InnerRequest, onText: (text: string) => void, signal: AbortSignal): Promise<UpstreamEnd>;
}
