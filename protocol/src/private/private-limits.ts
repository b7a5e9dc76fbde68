/** Bounds of the private tier, each named once. */
export const privateLimits = {
  candidates: 3,
  /** Largest number of prompt tokens that a header may announce. */
  promptTokens: 1_048_576,
  /** X-Wing's encapsulated key. */
  encBytes: 1_120,
  /** A sealed inner request. */
  bodyBytes: 655_360,
  /** Whole body of `POST /v1/sealed/chat/completions`. */
  requestBodyBytes: 1_048_576,
  /** Smallest size to which an inner request is padded. */
  innerBytesMin: 1_024,
  /** One chunk of an answer, sealed. */
  chunkBytes: 16_400,
  chunks: 1_048_576,
  /** A frame from a node; carries a bundle. */
  nodeFrameBytes: 1_572_864,
  /** Text of a bundle. */
  bundleCharacters: 1_048_576,
  /** How far ahead a header's end may lie. */
  headerAheadMs: 600_000,
  /** Between chunks of one answer, on average. */
  chunkSpacingMs: 20,
  /** From an epoch's nonce to its bundle. */
  epochNonceMs: 120_000,
  /** A node asks for its next epoch this long before its bundle ends, or after half of its life if that is later. */
  overlapMs: 600_000,
  /** Between the nonces that a node asks for. */
  epochIntervalMs: 5_000,
  /** No job goes on for longer. */
  jobMaxMs: 1_800_000,
  /** From an offer to the node's word. */
  acceptTimeoutMs: 5_000,
  /** Age of a directory's head. */
  headAgeMaxMs: 300_000,
  entriesPerPage: 256,
  /** Jobs that one node may serve at once. */
  concurrencyMax: 1_024,
  /** Continuations of one answer. */
  continuations: 2,
} as const;
