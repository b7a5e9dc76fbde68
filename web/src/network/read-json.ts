/** Reads an address of the coordinator against its schema. */
import { ErrorBodySchema, fail, failure, ok, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const timeoutMs = 10_000;

export async function readJson<Schema extends v.GenericSchema>(
  url: string,
  schema: Schema,
  fetch: Fetch,
): Promise<Result<v.InferOutput<Schema>>> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url, { credentials: 'omit', signal: AbortSignal.timeout(timeoutMs) });
    body = await response.json();
  } catch {
    return fail({
      code: 'unreachable',
      message: 'The coordinator could not be reached.',
      remedy: 'Check your connection. This page tries again by itself.',
    });
  }
  const parsed = v.safeParse(schema, body);
  if (response.ok && parsed.success) return ok(parsed.output);
  const error = v.safeParse(ErrorBodySchema, body);
  if (!error.success) return fail(failure('internal', 'The coordinator gave an answer of another shape.'));
  const { code, message, remedy } = error.output.error;
  return fail({ code, message, remedy });
}
