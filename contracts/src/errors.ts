/** Exit codes of both contracts with what to do. A test keeps the codes equal to `tolk/errors.tolk`. */
export const contractErrors = {
  BAD_SIGNATURE: { code: 101, remedy: 'Sign with the right key, for this network and this contract.' },
  NOTHING_NEW: { code: 102, remedy: 'This was paid already; use the newest voucher or root.' },
  NOTHING_LEFT: { code: 103, remedy: 'Top the channel up, then claim again.' },
  CLOSING: { code: 104, remedy: 'The channel closes; deposit into a new one.' },
  NOT_ALLOWED: { code: 105, remedy: 'Send it from the wallet that the contract names.' },
  NOT_CLOSING: { code: 106, remedy: 'Send StartClose first.' },
  TOO_EARLY: { code: 107, remedy: 'Wait until the time that the contract states.' },
  TOO_LATE: { code: 108, remedy: 'The challenge period is over; what was not claimed is the client’s.' },
  LOW_VALUE: { code: 109, remedy: 'Attach more TON; what is not used comes back.' },
  UNDERPAID_CHANNEL: {
    code: 110,
    remedy: 'Ask the payee to sign what the channel can pay and has not paid.',
  },
  NOT_A_PROOF: { code: 120, remedy: 'Attach a Merkle proof of the final root.' },
  OTHER_ROOT: { code: 121, remedy: 'Build the proof from the leaf file of the root in question.' },
  BROKEN_SUM: { code: 123, remedy: 'The tree is wrong: its sums do not add up. Tell its publisher.' },
  NO_LEAF: { code: 124, remedy: 'Nobody has this index in the root; check the index.' },
  BATCH_TOO_LARGE: { code: 125, remedy: 'Pay at most 128 leaves, level 7, a message.' },
  OTHER_OWNER: { code: 126, remedy: 'The index belongs to another owner; ask for a new voucher.' },
  WRONG_EPOCH: { code: 130, remedy: 'Propose the epoch after the final one.' },
  ROOT_PENDING: { code: 131, remedy: 'Finalize, challenge or cancel the pending root first.' },
  NO_ROOT_PENDING: { code: 132, remedy: 'There is nothing to decide; propose a root first.' },
  TOTAL_LOWER: { code: 133, remedy: 'Earnings are cumulative: the total cannot fall.' },
  OVER_CAP: { code: 134, remedy: 'Leave the part above the cap to the next epoch.' },
  OVER_RECEIVED: { code: 135, remedy: 'Claim the clients’ vouchers first.' },
  NOT_WORSE: { code: 136, remedy: 'The leaf is carried on correctly; nothing to challenge.' },
  RESERVE: { code: 137, remedy: 'Send the vault a plain transfer for its rent, then try again.' },
  TREE_TOO_DEEP: { code: 138, remedy: 'Build a tree of at most 24 levels.' },
  UNKNOWN_MESSAGE: { code: 0xffff, remedy: 'Use an opcode that the contract knows.' },
} as const satisfies Record<string, { readonly code: number; readonly remedy: string }>;

export type ContractErrorName = keyof typeof contractErrors;

/** The error behind an exit code; undefined where it is the network's own (below 100) or unknown. */
export function contractErrorOf(exitCode: number): ContractErrorName | undefined {
  const names = Object.keys(contractErrors) as ContractErrorName[];
  return names.find((name) => contractErrors[name].code === exitCode);
}
