/** The journal of running jobs: what a crash would charge for them is unaltered, adds up, and is covered. */
import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { NanoSchema } from '@tussah/protocol/money';
import * as v from 'valibot';
import { FaultLog, type Check } from './verdict.ts';

/** A checkpoint of 64 segments has about 64 KiB. */
const BODY_MAX_BYTES = 1_048_576;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Part = v.object({ firstPosition: count, tokens: count, billedTokens: count });
/** What money depends on. */
const Checkpoint = v.object({
  request: v.object({ id: v.string(), payer: v.string() }),
  maxTokens: count,
  reservedNano: NanoSchema,
  segments: v.array(Part),
  open: v.nullable(Part),
});

interface CheckpointRow {
  readonly job_id: string;
  readonly sha256: string;
  readonly bytes: bigint;
  readonly body: string | null;
  readonly settled: bigint;
}

/** Checks each row by itself, and that the accounts can pay for what all of them hold. */
export function checkCheckpoints(db: Database): Check {
  const log = new FaultLog();
  const held = new Map<string, bigint>();
  let jobs = 0;
  const rows = db.prepare<[number], CheckpointRow>(
    `SELECT job_id, sha256, octet_length(body) AS bytes, CASE WHEN octet_length(body) <= ? THEN body END AS body,
       job_id IN (SELECT job_id FROM receipts) AS settled FROM checkpoints`,
  );
  for (const row of rows.iterate(BODY_MAX_BYTES)) {
    jobs += 1;
    const fault = (problem: string) => log.add('checkpoints', row.job_id, problem);
    if (row.settled !== 0n) fault('its job is settled');
    const checkpoint = read(row.body);
    if (checkpoint === undefined) fault(`its body of ${row.bytes} bytes is not a checkpoint`);
    else if (
      createHash('sha256')
        .update(row.body ?? '')
        .digest('hex') !== row.sha256
    )
      fault('its body has another SHA-256');
    else if (checkpoint.request.id !== row.job_id) fault(`its body is of ${checkpoint.request.id}`);
    else {
      checkParts(checkpoint, fault);
      const { payer } = checkpoint.request;
      held.set(payer, (held.get(payer) ?? 0n) + BigInt(checkpoint.reservedNano));
    }
  }
  checkHeld(db, held, log);
  return log.check('checkpoints', `${jobs} running jobs written down`);
}

function read(body: string | null): v.InferOutput<typeof Checkpoint> | undefined {
  try {
    const parsed = v.safeParse(Checkpoint, JSON.parse(body ?? ''));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

function checkParts(
  { segments, open, maxTokens }: v.InferOutput<typeof Checkpoint>,
  fault: (problem: string) => void,
): void {
  let position = 0;
  for (const part of [...segments, ...(open === null ? [] : [open])]) {
    if (part.firstPosition !== position) fault(`a part begins at ${part.firstPosition}, not ${position}`);
    if (part.billedTokens > part.tokens) fault(`bills ${part.billedTokens} of ${part.tokens} tokens`);
    position += part.tokens;
  }
  if (position > maxTokens) fault(`has ${position} tokens of at most ${maxTokens}`);
}

function checkHeld(db: Database, held: ReadonlyMap<string, bigint>, log: FaultLog): void {
  const balance = db.prepare<[string], bigint>('SELECT nano FROM balances WHERE account = ?').pluck();
  for (const [payer, nano] of held)
    if (nano > (balance.get(payer) ?? 0n))
      log.add('balances', payer, `is less than the ${nano} that running jobs hold`);
}
