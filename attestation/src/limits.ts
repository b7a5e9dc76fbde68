/** Every bound of this package, named once. Sizes are bytes unless the name says otherwise. */
export const limits = {
  /** A whole bundle, as JSON text. */
  bundleCharacters: 1_048_576,
  /** A policy file, as JSON text. */
  policyCharacters: 262_144,
  /** A file given on the command line. */
  inputFileBytes: 4_194_304,
  /** JSON of any kind: its depth, and its values and members. Event logs have thousands. */
  jsonDepth: 32,
  jsonParts: 100_000,
  /** Certificate, CRL, OCSP response: one DER structure. */
  derBytes: 131_072,
  certificates: 8,
  extensions: 32,
  crlEntries: 4_096,
  /** Octets of a serial number, RFC 5280 section 4.1.2.2. */
  serialBytes: 20,
  quoteBytes: 32_768,
  collateralJsonCharacters: 262_144,
  tcbLevels: 256,
  spdmBytes: 65_536,
  measurements: 254,
  tokenCharacters: 65_536,
  jwks: 32,
  gpus: 16,
  ocspResponses: 8,
  eventLogBytes: 1_048_576,
  events: 8_192,
  /** Entries of one list in a policy. */
  policyEntries: 1_024,
  /** Parsed certificates that are kept. */
  rememberedCertificates: 64,
  /** What a verifier remembers: verified chains, and texts of accepted bundles, all together. */
  rememberedChains: 64,
  rememberedBundleCharacters: 4_194_304,
} as const;
