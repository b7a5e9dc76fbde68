/** Values of unknown shape against a schema. */
import * as v from 'valibot';
import { demand } from './malformed.ts';

/** Looks for the first problem only: to collect all of them from hostile input takes its time and memory. Throws `Malformed`. */
export function parseAs<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  const [issue] = parsed.issues ?? [];
  demand(
    parsed.success,
    `${what}: ${issue === undefined ? '' : `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`}`,
  );
  return parsed.output;
}
