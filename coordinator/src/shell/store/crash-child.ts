/** Run by sqlite-store.test.ts in a process of its own: settles jobs without end and names each one that is durable. */
import { writeSync } from 'node:fs';
import { openSqliteStore } from './sqlite-store.ts';
import { credit, post, settle, settlement } from './store-fixture.ts';

const [path = '', round = '0'] = process.argv.slice(2);
const store = openSqliteStore(path);
await store.write(post(credit(10n ** 14n, `credit:round-${round}`)));
let n = 0;
for (;;) {
  const group = Array.from({ length: 7 }, () => settlement(`${round}-${n++}`));
  await Promise.all(
    group.map(async (job) => {
      await store.write(settle(job));
      writeSync(1, `${job.receipt.id}\n`);
    }),
  );
}
