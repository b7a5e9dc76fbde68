/** The directory of nodes: nothing left out between its entries, each in the form that was hashed, joins and departures in order. */
import type { Database } from 'better-sqlite3';
import { DirectoryEntrySchema, type DirectoryEntry } from '@tussah/protocol/private/directory';
import { entryText } from '@tussah/protocol/private/directory-heads';
import { MerkleLog } from '@tussah/protocol/private/merkle';
import * as v from 'valibot';
import { FaultLog, type Check } from './verdict.ts';

/** The root that the check names can be compared with heads that clients have kept. */
export function checkDirectory(db: Database): Check {
  const log = new FaultLog();
  const tree = new MerkleLog();
  const listed = new Set<string>();
  const left = new Set<string>();
  const rows = db.prepare<[], { position: bigint; entry: string }>(
    'SELECT position, entry FROM directory ORDER BY position',
  );
  for (const { position, entry: text } of rows.iterate()) {
    const wrong = (problem: string) => log.add('directory', String(position), problem);
    if (position !== BigInt(tree.size)) wrong(`stands in the place of ${tree.size}`);
    tree.append(text);
    const entry = parse(text);
    if (entry === undefined) {
      wrong('is not an entry in its canonical form');
      continue;
    }
    const { kind, bundle } = entry;
    if (kind === 'joined') {
      if (listed.has(bundle) || left.has(bundle)) wrong(`lets ${bundle} join twice`);
      listed.add(bundle);
    } else if (!listed.delete(bundle)) wrong(`lets ${bundle} leave, which is not there`);
    else left.add(bundle);
  }
  return log.check('directory', `${tree.size} entries, root ${tree.rootHash()}`);
}

function parse(text: string): DirectoryEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(DirectoryEntrySchema, value);
  return parsed.success && entryText(parsed.output) === text ? parsed.output : undefined;
}
