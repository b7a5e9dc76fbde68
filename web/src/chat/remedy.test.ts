import { failure, isErrorCode } from '@tussah/protocol/errors';
import { describe, expect, it } from 'vitest';
import { remedyOf } from './remedy.ts';

describe('remedyOf', () => {
  it('says how long to wait where that is the remedy', () => {
    expect(remedyOf({ ...failure('rate_limited'), retryAfterSeconds: 7 })).toBe('Wait 7 s, then ask again.');
    expect(remedyOf({ ...failure('store_failed'), retryAfterSeconds: 7 })).toBe(
      failure('store_failed').remedy,
    );
  });

  it("keeps the coordinator's remedy where it knows no better one", () => {
    expect(remedyOf({ code: 'new_code', message: 'm', remedy: 'Do this.' })).toBe('Do this.');
    expect(remedyOf({ code: 'toString', message: 'm', remedy: 'Do this.' })).toBe('Do this.');
  });

  it('never speaks of parameters for what a person meets in a chat', () => {
    for (const code of ['context_length_exceeded', 'no_contributor', 'insufficient_balance']) {
      if (!isErrorCode(code)) throw new Error(`${code} is not a code any more`);
      expect(remedyOf(failure(code))).not.toMatch(/max_|tussah\.|\/v1/);
    }
  });
});
