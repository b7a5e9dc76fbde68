/**
 * The node's log: one JSON object a line on stderr. A field is an id, a code, a count or a time; there is no way to hand it a
 * prompt, an answer or a key. Every line says what stands behind the node's evidence.
 */
export type LogField = string | number | boolean | null;
export type LogFields = Readonly<Record<string, LogField>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** Longer strings are cut: they can only come from an error of the system. */
const FIELD_CHARACTERS = 300;

export function jsonLog(
  attestation: string,
  write: (line: string) => void,
  nowMs: () => number = Date.now,
): Log {
  const log =
    (level: string) =>
    (event: string, fields: LogFields = {}) => {
      const short = Object.entries(fields).map(([name, value]) => [
        name,
        typeof value === 'string' ? value.slice(0, FIELD_CHARACTERS) : value,
      ]);
      const line = { level, time: nowMs(), event, attestation, ...Object.fromEntries(short) };
      write(`${JSON.stringify(line)}\n`);
    };
  return { info: log('info'), warn: log('warn'), error: log('error') };
}
