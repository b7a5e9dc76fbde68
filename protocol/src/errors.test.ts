import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { errorBody, ErrorBodySchema, errorKinds, failure, isErrorCode, type ErrorCode } from './errors.ts';

const codes = Object.keys(errorKinds) as ErrorCode[];

describe('errors', () => {
  it.each(codes)('%s has a status, a sentence and a remedy', (code) => {
    const { status, message, remedy } = errorKinds[code];
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(status >= 400 && status < 600).toBe(true);
    expect(message).toMatch(/^[A-Z].*\.$/s);
    expect(remedy).toMatch(/^[A-Z].*[.]$/s);
  });

  it.each(codes)("%s becomes a body of OpenAI's shape", (code) => {
    const body = errorBody(failure(code));
    expect(v.is(ErrorBodySchema, body)).toBe(true);
    expect(body.error).toEqual({
      code,
      type: errorKinds[code].type,
      message: errorKinds[code].message,
      remedy: errorKinds[code].remedy,
      param: null,
    });
  });

  it('name the field at fault and take a more exact sentence', () => {
    expect(
      errorBody(failure('invalid_request', 'seed: expected a whole number.', 'seed')).error,
    ).toMatchObject({
      message: 'seed: expected a whole number.',
      param: 'seed',
      remedy: errorKinds.invalid_request.remedy,
    });
    expect('param' in failure('internal')).toBe(false);
  });

  it.each(['', 'unknown', 'constructor', '__proto__', 'toString', 'hasOwnProperty'])('are not %j', (code) => {
    expect(isErrorCode(code)).toBe(false);
    const { error } = errorBody({ code, message: 'm', remedy: 'r' });
    expect(error).toMatchObject({ code, type: 'server_error', message: 'm', remedy: 'r' });
  });
});
