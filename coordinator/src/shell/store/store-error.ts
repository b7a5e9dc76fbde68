/** Why a store refuses a write or can't go on, each with its remedy. */
import type { TransactionFault } from '../../core/ledger.ts';

export type StoreFault =
  /** A refused write: nothing of it is there, and writing it again is refused again. */
  | TransactionFault
  | 'conflict'
  | 'mismatched'
  | 'out-of-range'
  | 'unknown-account'
  | 'unknown-key'
  | 'invalid'
  /** The store itself: the write is not there, and may be tried again when the cause is gone. */
  | 'overloaded'
  | 'closed'
  | 'disk'
  | 'unusable';

const bug = 'This is a bug in the coordinator: report it with the log around this line.';

const remedies: Record<StoreFault, string> = {
  empty: bug,
  unbalanced: bug,
  'zero-entry': bug,
  'repeated-account': bug,
  overdrawn: 'Add credit to the account, or ask for less.',
  conflict: 'Something else is recorded under this name; use a new one.',
  mismatched: bug,
  'out-of-range': 'No account may hold more than 9e18 nanoTON.',
  'unknown-account': 'Create the account first.',
  'unknown-key': 'Check the id of the key; it begins with key_.',
  invalid: bug,
  overloaded: 'Wait until the writes under way are on disk; a faster disk takes more.',
  closed: 'The coordinator is stopping; start it again.',
  disk: 'Look at the disk (space, permissions, health), then start the coordinator again.',
  unusable: 'Choose another database file, or the version of this software that wrote it.',
};

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly fault: StoreFault;
  readonly remedy: string;

  constructor(fault: StoreFault, message: string, options?: ErrorOptions & { readonly remedy?: string }) {
    super(message, options);
    this.fault = fault;
    this.remedy = options?.remedy ?? remedies[fault];
  }
}
