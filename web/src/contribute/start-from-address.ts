/** A host without a person puts the choices into the address and wants the page to begin by itself. */
import { readContributeHash } from '@tussah/worker-runtime/contributor/host-bridge';
import { choices } from './choices.svelte.ts';
import { contribution } from './contribution.svelte.ts';

export function startFromAddress(hash: string): void {
  if (hash === '' || contribution.active) return;
  const read = readContributeHash(hash);
  if (!read.ok) {
    contribution.fail(choices.modelId, read.failure);
    return;
  }
  choices.take(read.value);
  // Silence would send the earnings to nobody's wallet.
  if (choices.walletProblem !== null) {
    const remedy = 'Correct the wallet in the address, or leave it out.';
    contribution.fail(choices.modelId, { code: 'wallet_malformed', message: choices.walletProblem, remedy });
    return;
  }
  // The contributor itself checks model and engine, and says what is wrong with them.
  if (read.value.auto) void contribution.start(choices.toStart());
}
