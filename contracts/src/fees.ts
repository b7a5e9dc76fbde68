/** Bounds of fees and rent, in nanoTON. A test keeps them equal to `tolk/fees.tolk`, which says what each is for. */
export const fees = {
  CHANNEL_RESERVE: 20_000_000n,
  VAULT_RESERVE: 100_000_000n,
  RECEIVE_COST: 200_000n,
  CLAIM_VALUE: 3_000_000n,
  CLOSE_VALUE: 3_000_000n,
  VAULT_CALL_VALUE: 5_000_000n,
  PAY_VALUE: 4_000_000n,
  PAY_VALUE_EACH: 500_000n,
  VOUCHER_RENT: 10_000_000n,
  MAX_BATCH_LEVEL: 7n,
  MAX_TREE_DEPTH: 24n,
} as const;
