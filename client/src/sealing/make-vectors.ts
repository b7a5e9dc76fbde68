/** Writes vectors.json: `node client/src/sealing/make-vectors.ts`. */
import { writeFileSync } from 'node:fs';
import { makeKnownAnswers } from './known-answers.ts';

const path = new URL('./vectors.json', import.meta.url);
writeFileSync(path, `${JSON.stringify(await makeKnownAnswers(), null, 2)}\n`);
