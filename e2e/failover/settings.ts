/** What `npm test -- failover` was asked for; see tools/test/arguments.ts. */
import { engines } from '../network-under-test.ts';

const deep = process.env['TUSSAH_DEEP'] === '1';
const asked = (name: string): string | undefined => process.env[`TUSSAH_FAILOVER_${name}`];

export const failover = {
  engines: engines.filter((engine) => engine === (asked('ENGINE') ?? engine)),
  /** Kills on each engine. */
  kills: Number(asked('KILLS') ?? (deep ? 100 : 10)),
  /** Fixed, so that a run can't fail by chance; `--deep` looks for what no run has met yet. */
  seed: Number(asked('SEED') ?? (deep ? Date.now() % 1_000_000 : 1)),
};
