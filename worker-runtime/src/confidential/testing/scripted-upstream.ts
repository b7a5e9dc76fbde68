/** An upstream that a test writes for. */
import { ok, type Result } from '@tussah/protocol/errors';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import type { Upstream, UpstreamEnd, UpstreamFacts } from '../ports.ts';

interface Answering {
  readonly inner: InnerRequest;
  readonly onText: (text: string) => void;
  readonly end: (end: UpstreamEnd) => void;
  readonly signal: AbortSignal;
}

export class ScriptedUpstream implements Upstream {
  facts: Result<UpstreamFacts> = ok({
    kind: 'vllm',
    version: '0.11.0',
    contextTokens: 2_048,
    configDigest: '34'.repeat(32),
  });
  promptTokens: Result<number | null> = ok(17);
  unsupportedMember: string | undefined;
  readonly answering: Answering[] = [];

  get configDigest(): string | undefined {
    return this.facts.ok ? this.facts.value.configDigest : undefined;
  }

  identify = async (): Promise<Result<UpstreamFacts>> => this.facts;
  unsupported = (): string | undefined => this.unsupportedMember;
  countPrompt = async (): Promise<Result<number | null>> => this.promptTokens;

  answer(inner: InnerRequest, onText: (text: string) => void, signal: AbortSignal): Promise<UpstreamEnd> {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve({ how: 'aborted' }), { once: true });
      this.answering.push({ inner, onText, end: resolve, signal });
    });
  }
}
