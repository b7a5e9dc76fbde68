/** Scripted contributors of the coordinator, in a process of their own: they say what the upstream says, in the same batches and rhythm. */
import { realContributor } from '../relay/load.ts';
import { sendBatches, setPacing, type Pacing } from './pacing.ts';

const [url = '', count = '0'] = process.argv.slice(2);
for (let i = 0; i < Number(count); i++)
  await realContributor(url, (jobId, send) =>
    sendBatches(({ position, ids, text }) => send({ type: 'text-delta', jobId, position, ids, text })),
  );
process.on('message', (pacing: Pacing) => setPacing(pacing));
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });
