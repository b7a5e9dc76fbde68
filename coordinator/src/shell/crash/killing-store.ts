/** The real store on a database that tells the switch how far a transaction has come. */
import type { Database } from 'better-sqlite3';
import { groupBounds } from '../store/group-commit.ts';
import type { StoreWrite, WriteOutcome } from '../store/port.ts';
import { openDatabase, SqliteStore } from '../store/sqlite-store.ts';
import type { KillSwitch } from './kill-switch.ts';

interface Progress {
  /** Settlements that wait for their commit. */
  waiting: number;
  /** Whether the open transaction holds one. */
  settles: boolean;
}

export class KillingStore extends SqliteStore {
  readonly #kill: KillSwitch;
  readonly #progress: Progress;

  constructor(path: string, kill: KillSwitch) {
    const progress: Progress = { waiting: 0, settles: false };
    super(watched(openDatabase(path), progress, kill), groupBounds);
    this.#kill = kill;
    this.#progress = progress;
  }

  override async write(write: StoreWrite): Promise<WriteOutcome> {
    if (write.kind === 'settlement') this.#progress.waiting += 1;
    try {
      return await super.write(write);
    } finally {
      if (write.kind === 'settlement') this.#progress.waiting -= 1;
      if (write.kind === 'checkpoint' && (write.checkpoint.open?.tokens ?? 0) > 0)
        this.#kill.checkpointed.add(write.checkpoint.request.id);
    }
  }
}

/** The statements of a transaction run as ever; those that tell something are seen before or after. */
function watched(db: Database, progress: Progress, kill: KillSwitch): Database {
  const around: readonly (readonly [sql: RegExp, before: () => void, after: () => void])[] = [
    [
      /^BEGIN/,
      () => progress.waiting > 0 && kill.reached('before the commit of a settlement'),
      () => undefined,
    ],
    [
      /^INSERT INTO receipts /,
      () => undefined,
      () => {
        progress.settles = true;
        kill.reached('inside the transaction of a settlement');
      },
    ],
    [
      /^INSERT INTO checkpoints /,
      () => undefined,
      () => kill.reached('inside the transaction of a checkpoint'),
    ],
    [
      /^COMMIT/,
      () => undefined,
      () => {
        if (progress.settles) kill.reached('after the commit, before the acknowledgement');
        progress.settles = false;
      },
    ],
  ];
  const prepare = db.prepare.bind(db);
  db.prepare = ((sql: string) => {
    const statement = prepare(sql);
    const [, before, after] = around.find(([pattern]) => pattern.test(sql)) ?? [];
    if (before === undefined || after === undefined) return statement;
    const run = statement.run.bind(statement);
    statement.run = (...values) => {
      before();
      const result = run(...values);
      after();
      return result;
    };
    return statement;
  }) as typeof db.prepare;
  return db;
}
