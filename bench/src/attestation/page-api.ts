/** What the bench's page does for the bench. */
import type { Measured } from './subjects.ts';

interface AttestationGlobals {
  tussahAttestation?: () => Promise<Measured>;
}
declare global {
  // An interface merges; this one adds to the browser's.
  interface Window extends AttestationGlobals {}
}
