/** Every bound of the wire, named once. Sizes are bytes, times are milliseconds, unless the name says otherwise. */
export const limits = {
  /** Largest HTTP request body. */
  requestBodyBytes: 1_048_576,
  /** Largest WebSocket frame from a contributor. */
  contributorFrameBytes: 65_536,
  /** Largest WebSocket frame to a contributor; carries the messages of one request. */
  coordinatorFrameBytes: 2_097_152,
  /** Frames a contributor may send in one second, averaged over `frameBurst`. */
  framesPerSecond: 200,
  frameBurst: 400,
  messagesPerRequest: 512,
  messageCharacters: 524_288,
  completionTokensMax: 32_768,
  stopStrings: 4,
  stopStringCharacters: 256,
  topLogprobs: 5,
  /** Of one token, or of the few that make one character. */
  tokenBytes: 512,
  userCharacters: 256,
  idempotencyKeyCharacters: 255,
  modelIdCharacters: 128,
  buildIdCharacters: 160,
  /** Token ids in one `text-delta`. */
  idsPerDelta: 512,
  /** UTF-16 units of text in one `text-delta`. */
  textPerDelta: 16_384,
  /** Builds one contributor may announce. */
  buildsPerContributor: 32,
  reasonCharacters: 512,
  /** A contributor answers the challenge within this. */
  helloTimeoutMs: 10_000,
  acceptTimeoutMs: 5_000,
  /** A frame of a running job arrives at least this often, else the job goes elsewhere. */
  tokenSilenceMs: 30_000,
  /** Until the first token: the prompt has to be read. */
  firstTokenSilenceMs: 120_000,
  /** A lost contributor may come back to its job within this. */
  resumeGraceMs: 5_000,
  /** A client whose connection broke may come back to its running answer within this. */
  clientGraceMs: 15_000,
  /** After a restart of the coordinator: a client may come back to its answer within this. */
  resumeWindowMs: 120_000,
  heartbeatMs: 15_000,
  /** Two heartbeats missed. */
  heartbeatTimeoutMs: 40_000,
  maxWaitMsDefault: 10_000,
  maxWaitMsMax: 300_000,
} as const;
