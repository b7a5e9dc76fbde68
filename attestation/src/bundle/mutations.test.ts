/** Bundles changed in their structure, at random from a seed: no crash, no hang, none accepted. 100,000 with TUSSAH_DEEP=1. */
import { canonicalText, type Canonical } from '@tussah/protocol/canonical';
import { expect, it } from 'vitest';
import { makeBundle, type BundleChanges } from '../simulated/bundle.ts';
import type { GpuChanges } from '../simulated/gpu.ts';
import { eventLog, loggedImage, loggedPolicy } from '../testing/event-log.ts';
import { deep, seededRandom } from '../testing/random.ts';
import { NOW, otherWorld, world } from '../testing/world.ts';
import { Verifier } from '../verify.ts';

const RUNS = deep ? 100_000 : 500;
const SEED = 20_261_101;
/** Of a single verification. */
const HANG_MS = 5_000;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Random = (below: number) => number;

/** Serial numbers of its own, so that no answer about the first device is one about this. */
const otherDevice: GpuChanges = {
  deviceKey: otherWorld.nvidia.keys[1],
  certificates: {
    0: { serial: 0x6003 },
    1: { serial: 0x7101 },
    2: { serial: 0x7102 },
    3: { serial: 0x7103 },
  },
};

/** All that a bundle can carry, and the same of another world to take parts from. */
const kinds: readonly BundleChanges[] = [
  {},
  { machine: 'snp', gpus: [{ nras: {} }] },
  { tdx: { image: loggedImage }, eventLog, gpus: [{}, otherDevice] },
];
const bundles = await Promise.all(
  kinds.map((changes) =>
    Promise.all([world, otherWorld].map(async (each) => plain(await makeBundle(each, changes)))),
  ),
);

function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

/** A container and one of its keys: where something can be changed. */
type Place = readonly [holder: Json[] | { [key: string]: Json }, key: string];

function places(value: Json, found: Place[] = []): Place[] {
  if (value !== null && typeof value === 'object')
    for (const [key, member] of Object.entries(value)) {
      found.push([value, key]);
      places(member, found);
    }
  return found;
}

const memberAt = ([holder, key]: Place): Json => (holder as { [key: string]: Json })[key] ?? null;

function put([holder, key]: Place, value: Json): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

const strange: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1e300,
  '',
  'x',
  '00',
  '\ud800',
  '__proto__',
  [],
  {},
  [[]],
  { a: 1 },
];
const pieces = [' ', '\n', '\0', 'A', 'AAAA', '=', '0', '-----BEGIN X-----\nAAAA\n-----END X-----\n'];

function pick<Value>(random: Random, from: readonly Value[]): Value {
  const picked = from[random(from.length)];
  if (picked === undefined) throw new RangeError('nothing to pick from');
  return picked;
}

type Change = (place: Place, random: Random, bundle: Json, foreign: Json) => void;
const changes: readonly Change[] = [
  function leaveOut([holder, key]) {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else Reflect.deleteProperty(holder, key);
  },
  function makeStrange(place, random) {
    put(place, structuredClone(pick(random, strange)));
  },
  function wrap(place) {
    put(place, [memberAt(place)]);
  },
  function multiply(place) {
    const member = memberAt(place);
    put(
      place,
      Array.isArray(member) ? structuredClone([...member, ...member, ...member]) : { value: member },
    );
  },
  function takeFromElsewhere(place, random, bundle) {
    put(place, structuredClone(memberAt(pick(random, places(bundle)))));
  },
  function takeFromAnother(place, random, _, foreign) {
    const same = places(foreign).filter(([, key]) => key === place[1]);
    if (same.length > 0) put(place, structuredClone(memberAt(pick(random, same))));
  },
  function add([holder], random, bundle, foreign) {
    const [from, key] = pick(random, places(random(2) === 0 ? bundle : foreign));
    const value = structuredClone(memberAt([from, key]));
    if (Array.isArray(holder)) holder.splice(random(holder.length + 1), 0, value);
    else put([holder, random(2) === 0 ? key : 'more'], value);
  },
  function cut(place, random) {
    const member = memberAt(place);
    put(
      place,
      typeof member === 'string' ? member.slice(0, random(member.length + 1) >> 1) : 'x'.repeat(random(100)),
    );
  },
  function writeInto(place, random) {
    const member = memberAt(place);
    if (typeof member !== 'string') return;
    const at = pick(random, [0, random(member.length + 1), member.length]);
    put(place, member.slice(0, at) + pick(random, pieces) + member.slice(at));
  },
];

function mutate(own: Json, foreign: Json, random: Random): string {
  const bundle = structuredClone(own);
  for (let n = 1 + random(3); n > 0; n--) {
    const all = places(bundle);
    if (all.length > 0) pick(random, changes)(pick(random, all), random, bundle, foreign);
  }
  const text = JSON.stringify(bundle);
  // Now and then what is left is no JSON any more.
  return random(50) === 0 ? text.slice(0, random(text.length)) : text;
}

/** Two bundles mean the same when they differ in nothing but the order of OCSP responses, and white space in PEM (RFC 7468). */
const meaning = (value: Json): string =>
  canonicalText(
    JSON.parse(JSON.stringify(value), (key, member: unknown) => {
      if (key === 'ocsp' && Array.isArray(member))
        return member.map(String).toSorted((a, b) => (a < b ? -1 : 1));
      return typeof member === 'string' && member.includes('-----BEGIN') ? member.replace(/\s/g, '') : member;
    }) as Canonical,
  );

/** The event log is left out: nobody has to give one, since the policy names the registers that it adds up to. */
function withoutLog(value: Json): Json {
  const bundle = structuredClone(value) as { machine: { eventLog?: Json } };
  delete bundle.machine.eventLog;
  return bundle;
}

const isHarmless = (text: string, own: Json): boolean =>
  [own, withoutLog(own)].map(meaning).includes(meaning(JSON.parse(text) as Json));

it('mutated bundles are rejected, quickly and without throwing', async () => {
  const random = seededRandom(SEED);
  const verifier = new Verifier();
  let rejected = 0;
  let slowestMs = 0;
  for (let run = 0; run < RUNS; run++) {
    const [own = null, foreign = null] = pick(random, bundles);
    const text = mutate(own, foreign, random);
    const startMs = performance.now();
    const { verdict } = await verifier.verify({ kind: 'bundle', text }, loggedPolicy, NOW);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    if (verdict === 'rejected') rejected += 1;
    else expect(isHarmless(text, own), `run ${run} of seed ${SEED} was accepted`).toBe(true);
  }
  expect(rejected).toBeGreaterThan(0.9 * RUNS);
  expect(slowestMs).toBeLessThan(HANG_MS);
}, 3_000_000);
