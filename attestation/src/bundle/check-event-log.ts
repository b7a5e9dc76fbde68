/** The event log in a bundle: it explains the measured registers, and has to add up to them. */
import { equalBytes } from '../bytes/bytes.ts';
import { fromBase64 } from '../bytes/text-encodings.ts';
import { readCcel } from '../event-log/ccel.ts';
import { readDstackLog } from '../event-log/dstack.ts';
import { replay, type LogEvent } from '../event-log/replay.ts';
import { Malformed } from '../malformed.ts';
import type { TdReport } from '../tdx/quote.ts';
import type { TdxPart } from './bundle.ts';
import type { BundleRecord } from './plan.ts';

/** Whether the log, if there is one, adds up to the registers in the report. */
export async function checkEventLog(
  record: BundleRecord,
  log: TdxPart['eventLog'],
  report: TdReport | undefined,
): Promise<void> {
  if (log === undefined) {
    record.waive('bundle.event-log.format');
    record.waive('bundle.event-log');
    return;
  }
  const events = await readEvents(record, log);
  if (events === undefined || report === undefined) return;
  const registers = await replay(events);
  const different = report.rtmr.flatMap((rtmr, i) =>
    equalBytes(rtmr, registers[i] ?? new Uint8Array()) ? [] : [i],
  );
  record.check('bundle.event-log', different.length === 0, {
    expected: 'RTMR0 to RTMR3 of the quote',
    got:
      different.length === 0 ? 'the same' : `other values of ${different.map((i) => `RTMR${i}`).join(', ')}`,
  });
}

async function readEvents(
  record: BundleRecord,
  log: NonNullable<TdxPart['eventLog']>,
): Promise<readonly LogEvent[] | undefined> {
  try {
    const events =
      log.format === 'ccel' ? readCcel(fromBase64(log.data, 'event log')) : await readDstackLog(log.events);
    record.check('bundle.event-log.format', true);
    return events;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    record.check('bundle.event-log.format', false, { expected: 'an event log', got: error.message });
    return undefined;
  }
}
