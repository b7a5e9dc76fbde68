/** What a private chat says to whoever asked. */
import type { Usage } from '@tussah/protocol/chat-response';
import type { DirectoryHead } from '@tussah/protocol/private/directory';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { FinishReason } from '@tussah/protocol/sampling';
import type { ChatFailure } from '../events.ts';
import type { NodeView, RejectedNode } from './nodes.ts';

/** What was verified before anything of a question has left. */
export interface Preparation {
  readonly model: string;
  /** Signed by the coordinator; two people can compare theirs. Null when there was none to be had. */
  readonly head: DirectoryHead | null;
  /** One to three, in the order drawn, each with all steps of its verification; none with a failure. */
  readonly nodes: readonly NodeView[];
  readonly rejected: readonly RejectedNode[];
  /** Any of the nodes: then all of it is for development only, and whoever shows it says SIMULATED. */
  readonly simulated: boolean;
  /** Sentences for people. */
  readonly notProtected: readonly string[];
  readonly policy: string;
  readonly atMs: number;
  readonly failure: ChatFailure | null;
}

/** How the node was attested. */
export type AttestationKind = 'hardware' | 'simulated';

export interface PrivateFinished {
  readonly type: 'finished';
  readonly tier: 'private';
  readonly finishReason: FinishReason;
  /** As the node counted, of its own part if others had begun the answer. */
  readonly usage: Usage;
  readonly jobId: string;
  readonly receipt: PrivateReceipt;
  readonly node: NodeView;
  readonly attestation: AttestationKind;
}

export interface PrivateFailed {
  readonly type: 'failed';
  readonly tier: 'private';
  readonly failure: ChatFailure;
  /** What has come of the text: nothing, a part, or all of it, with something wrong beside it. */
  readonly text: 'none' | 'part' | 'whole';
  /** Where the text is whole. */
  readonly finishReason: FinishReason | null;
  readonly usage: Usage | null;
  readonly jobId: string | null;
  /** As it came: with `receipt_mismatch`, not right. */
  readonly receipt: PrivateReceipt | null;
  /** The node that took the job. */
  readonly node: NodeView | null;
  /** Nodes that were not asked, since they could not be verified. */
  readonly rejected: readonly RejectedNode[];
}

export type PrivateEvent =
  /** These nodes were verified; the question is sealed to them next. */
  | { readonly type: 'verified'; readonly preparation: Preparation }
  /** One of them has taken it. */
  | { readonly type: 'assigned'; readonly jobId: string; readonly node: NodeView }
  | { readonly type: 'text-delta'; readonly text: string }
  /** The node was lost, and the answer goes on elsewhere, after the text that is there; it may differ from an uncut one. */
  | { readonly type: 'continued'; readonly lost: NodeView }
  | PrivateFinished
  | PrivateFailed
  /** The caller's own signal ended it. */
  | { readonly type: 'stopped' };
