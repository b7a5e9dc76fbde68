/** Why the desk can't be used at all. */
import type { Failure } from '@tussah/protocol/errors';

export const deskBroken: Failure = {
  code: 'verifier_failed',
  message: 'The part of this page that verifies and seals could not be loaded, or has crashed.',
  remedy: 'Reload the page.',
};

/** Browsers have no cryptography on pages that came without TLS. */
const insecurePage: Failure = {
  code: 'insecure_page',
  message: 'This page was not loaded over https, so this browser can neither verify nor seal.',
  remedy: 'Open it over https.',
};

export const whyBroken = (): Failure => (globalThis.isSecureContext ? deskBroken : insecurePage);
