/**
 * One log line for each step in the life of a job or a contributor, with ids and never with content. docs/operations.md
 * lists the events and says what each level is for.
 */
import type { Logger } from 'pino';
import type { Note } from '../core/events.ts';

type Level = 'debug' | 'info' | 'warn';

export const noteLevels: Readonly<Record<Note['kind'], Level>> = {
  'contributor-joined': 'info',
  'contributor-left': 'info',
  'model-ready': 'info',
  // A job has one line at its end; its beginning is for who looks closely.
  'job-queued': 'debug',
  'job-started': 'debug',
  'job-refused': 'info',
  'job-moved': 'warn',
  'job-ended': 'info',
  'job-suspended': 'info',
  'job-interrupted': 'warn',
  'job-resumed': 'info',
  'checkpoint-failed': 'warn',
  'node-connected': 'debug',
  'node-joined': 'info',
  'node-left': 'info',
  'evidence-refused': 'warn',
  'sealed-job-refused': 'info',
  'sealed-job-skipped': 'info',
  'sealed-job-started': 'debug',
  'sealed-job-ended': 'info',
};

/** Codes that contributors' own software gives for a failed job. */
const failureCodes = new Set(
  `download_failed file_corrupt storage_full out_of_memory webgpu_unavailable feature_missing device_lost prompt_too_long
  prefix_diverged engine_busy engine_failed engine_lost not_loaded aborted job_unknown`.split(/\s+/),
);

export function logNote(log: Logger, note: Note): void {
  const { kind, ...facts } = withoutForeignWords(note);
  const plain = Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [key, typeof value === 'bigint' ? value.toString() : value]),
  );
  log[noteLevels[kind]](plain, kind);
}

/** A contributor that fails or declines says why; words that we don't know could be a prompt. */
function withoutForeignWords(note: Note): Note {
  if (note.kind !== 'job-moved' || note.reason !== 'failed') return note;
  return { ...note, detail: note.detail !== null && failureCodes.has(note.detail) ? note.detail : null };
}
