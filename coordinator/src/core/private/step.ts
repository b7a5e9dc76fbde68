/** The private tier's part of `step`. */
import type { Turn } from '../turn.ts';
import { submitSealed } from './admission.ts';
import { onEntryAppended, recoverDirectory } from './epochs.ts';
import type { PrivateEvent } from './events.ts';
import { abandonSealed } from './jobs.ts';
import { breachedByNode, connectNode, disconnectNode, proveNode, receiveFromNode } from './sessions.ts';
import { onSealedSettled, onSealedSettlementFailed } from './settlement.ts';
import { onBundleChecked, onNodeReceiptChecked, onRefusalChecked } from './verdicts.ts';

export function takePrivate(turn: Turn, event: PrivateEvent): void {
  switch (event.type) {
    case 'directory-recovered':
      return recoverDirectory(turn, event);
    case 'node-connected':
      return connectNode(turn, event);
    case 'node-frame-received':
      return receiveFromNode(turn, event);
    case 'node-hello-checked':
      return proveNode(turn, event);
    case 'bundle-checked':
      return onBundleChecked(turn, event);
    case 'entry-appended':
      return onEntryAppended(turn, event);
    case 'node-breached':
      return breachedByNode(turn, event);
    case 'node-disconnected':
      return disconnectNode(turn, event);
    case 'sealed-job-submitted':
      return submitSealed(turn, event.request);
    case 'sealed-job-abandoned':
      return abandonSealed(turn, event.jobId, event.code);
    case 'refusal-checked':
      return onRefusalChecked(turn, event);
    case 'node-receipt-checked':
      return onNodeReceiptChecked(turn, event);
    case 'sealed-job-settled':
      return onSealedSettled(turn, event.jobId, event.receipt);
    case 'sealed-settlement-failed':
      return onSealedSettlementFailed(turn, event.jobId);
    default:
      return event satisfies never;
  }
}
