/** What the page and its private desk, which runs in a worker, say to each other. All of it can be cloned. */
import type { Preparation } from '@tussah/client/private/private-events';
import type { Result } from '@tussah/protocol/errors';
import type { AnswerEvent } from '../chat/answer.ts';
import type { Question } from '../chat/ask.ts';
import type { Findings, Material } from '../verify/findings.ts';

/** `strict`: built into the site. `own`: a file of this person. `simulated`: the local coordinator's, for development. */
export type PolicySource = 'strict' | 'own' | 'simulated';

export interface PolicyOffer {
  readonly source: PolicySource;
  readonly name: string;
  /** Ids of the models that it names. */
  readonly models: readonly string[];
  /** Names of the images with a measurement; without one an image accepts nothing. */
  readonly images: readonly string[];
  /** Whether it accepts evidence that protects nothing. */
  readonly simulated: boolean;
  /** The file. */
  readonly text: string;
}

export interface Policies {
  readonly chosen: PolicySource;
  /** The strict one is always there. */
  readonly offers: readonly PolicyOffer[];
}

/** What was verified for one model, and under which policy, without sending anything. */
export interface Readiness extends Omit<Preparation, 'policy'> {
  readonly policy: Pick<PolicyOffer, 'source' | 'name' | 'images' | 'simulated'>;
}

/** An answer's events as they leave the desk; the page's clock tells when text came. */
export type DeskEvent =
  | Exclude<AnswerEvent, { type: 'text-delta' }>
  | { readonly type: 'text-delta'; readonly text: string };

export interface Desk {
  policies(): Promise<Policies>;
  /** A source that is not offered is refused. */
  choose(source: PolicySource): Promise<Result<Policies>>;
  /** Keeps a policy file in this browser, and chooses it. */
  keepOwn(text: string): Promise<Result<Policies>>;
  forgetOwn(): Promise<Result<Policies>>;
  prepare(model: string, apiKey: string | null): Promise<Readiness>;
  /** Tells `listener` of every event; the last one is the answer's end. Resolves after it. */
  ask(
    id: string,
    question: Question,
    apiKey: string | null,
    listener: (event: DeskEvent) => unknown,
  ): Promise<void>;
  stop(id: string): Promise<void>;
  /** Forgets the directory's head, so that the next one is taken for the first. */
  forgetHead(): Promise<Result<null>>;
  /** The evidence of a node that was verified here, as the node made it. */
  evidence(bundle: string): Promise<Result<string>>;
  /** Judges what somebody put before it. Nothing leaves the browser. */
  examine(material: Material): Promise<Findings>;
}
