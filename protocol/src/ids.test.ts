import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import {
  idFrom,
  JobIdSchema,
  newId,
  PublicKeySchema,
  ReceiptIdSchema,
  Sha256Schema,
  SignatureSchema,
} from './ids.ts';

describe('ids', () => {
  it('carry the low five bits of each random byte', () => {
    expect(idFrom('job', new Uint8Array(24))).toBe(`job_${'0'.repeat(24)}`);
    expect(idFrom('rcp', new Uint8Array(24).fill(255))).toBe(`rcp_${'z'.repeat(24)}`);
    const counting = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(idFrom('key', counting)).toBe('key_0123456789abcdefghjkmnpq');
  });

  it('fit their schema and no other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), (random) => {
        expect(v.is(JobIdSchema, idFrom('job', random))).toBe(true);
        expect(v.is(ReceiptIdSchema, idFrom('job', random))).toBe(false);
      }),
    );
  });

  it('throw when there is too little randomness', () => {
    expect(() => idFrom('job', new Uint8Array(23))).toThrow(RangeError);
  });

  it('do not repeat', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => newId('job'))).size).toBe(1_000);
  });

  it.each([
    '',
    'job_',
    `job_${'0'.repeat(23)}`,
    `job_${'0'.repeat(25)}`,
    `job_${'i'.repeat(24)}`,
    `job_${'l'.repeat(24)}`,
    `job_${'o'.repeat(24)}`,
    `job_${'u'.repeat(24)}`,
    `job_${'A'.repeat(24)}`,
    `JOB_${'0'.repeat(24)}`,
    ` job_${'0'.repeat(24)}`,
    `job_${'0'.repeat(24)}\n`,
    7,
    null,
  ])('are not %j', (text) => {
    expect(v.is(JobIdSchema, text)).toBe(false);
  });
});

it.each([
  ['a public key', PublicKeySchema, 64],
  ['a signature', SignatureSchema, 128],
  ['a SHA-256', Sha256Schema, 64],
])('%s is lowercase hexadecimal of its exact length', (_, schema, length) => {
  expect(v.is(schema, 'a'.repeat(length))).toBe(true);
  for (const wrong of [
    'a'.repeat(length - 1),
    'a'.repeat(length + 1),
    'A'.repeat(length),
    `${'a'.repeat(length)}\n`,
    'g'.repeat(length),
  ])
    expect(v.is(schema, wrong)).toBe(false);
});
