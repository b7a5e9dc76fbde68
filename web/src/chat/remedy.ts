/** What a person at this page can do about a failure: the coordinator's remedies speak to programs too. */
import type { ChatFailure } from '@tussah/client/events';

const remedies: Readonly<Record<string, string>> = {
  context_length_exceeded:
    'Ask without the earlier messages, write a shorter one, or choose a model with a longer context.',
  no_contributor: 'Choose a model that is ready, or ask again later.',
  queue_full: 'Ask again shortly, or choose another model.',
  invalid_api_key: 'Check the key under “Key”, or forget it to ask as a guest.',
  api_key_revoked: 'Use another key, or forget it to ask as a guest.',
  insufficient_balance: 'Add credit to the account of your key, or forget the key to ask as a guest.',
  guest_budget_exhausted: 'Ask again later, or use an API key with its own balance.',
  model_not_found: 'Choose another model.',
  contributor_failed: 'Ask again.',
  unreachable: 'Check your connection, then ask again.',
  model_not_in_policy: 'Choose another model, or another policy under “Details”.',
  evidence_rejected: 'Look at the failed steps under “Details”.',
  price_too_high: 'Ask for less, or ask a model that costs less.',
  heads_unavailable: 'Leave private browsing, or allow this site to store data; then reload the page.',
  coordinator_changed:
    'Ask the operator whether the coordinator has a new key. If it has, forget the old directory under “Details”.',
  no_candidate: 'Ask again: other machines are drawn.',
  candidate_unknown: 'Ask again: the machines are listed anew.',
  node_busy: 'Ask again shortly.',
  node_lost: 'Ask again: another machine is drawn.',
  node_misbehaved: 'Ask again: another machine is drawn.',
  receipt_missing: 'Ask the operator for it: GET /v1/receipts?job= with the job’s id.',
  unreadable_answer: 'Reload the page to get its newest version, then ask again.',
};

export function remedyOf({ code, remedy, retryAfterSeconds }: ChatFailure): string {
  if (code === 'rate_limited' && retryAfterSeconds !== undefined)
    return `Wait ${retryAfterSeconds} s, then ask again.`;
  return Object.hasOwn(remedies, code) ? (remedies[code] ?? remedy) : remedy;
}
