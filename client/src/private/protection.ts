/** What a verified machine does not protect from, in sentences for people. */

export const notProtected: readonly string[] = [
  'The coordinator sees who asks, when, for which model and price, and sizes within the padding; not a word of question or answer.',
  "Whoever opens the machine's case can read its memory: attestation speaks about software, not about physical attacks.",
  "The policy's author vouches for the image: what it does by mistake, no evidence shows.",
  "A GPU's evidence is tied to its machine by the measured image alone.",
];

export const simulatedWarning =
  'SIMULATED: this evidence does not come from real hardware and protects nothing. It is for development only.';

export const notProtectedBy = (simulated: boolean): readonly string[] =>
  simulated ? [simulatedWarning, ...notProtected] : notProtected;
