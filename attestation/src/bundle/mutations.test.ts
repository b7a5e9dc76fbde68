/** Bundles changed in their structure, at random from a seed: no crash, no hang, none accepted. 100,000 with TUSSAH_DEEP=1. */
import { canonicalText, type Canonical } from '@tussah/protocol/canonical';
import { expect, it } from 'vitest';
import { makeBundle } from '../simulated/bundle.ts';
import { deep, seededRandom } from '../testing/random.ts';
import { NOW, otherWorld, policy, world } from '../testing/world.ts';
import { Verifier } from '../verify.ts';

const RUNS = deep ? 100_000 : 500;
const SEED = 20_261_101;
/** Of a single verification. */
const HANG_MS = 5_000;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const [own, foreign] = await Promise.all(
  [world, otherWorld].map(async (each) => plain(await makeBundle(each))),
);

function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

/** All containers with one of their keys: places where something can be changed. */
function places(value: Json, found: [Json[] | { [key: string]: Json }, string][] = []) {
  if (value !== null && typeof value === 'object')
    for (const [key, member] of Object.entries(value)) {
      found.push([value, key]);
      places(member, found);
    }
  return found;
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

function mutate(random: (below: number) => number): string {
  const bundle = structuredClone(own ?? null);
  for (let n = 1 + random(3); n > 0; n--) change(bundle, random);
  const text = JSON.stringify(bundle);
  // Now and then what is left is no JSON any more.
  return random(50) === 0 ? text.slice(0, random(text.length)) : text;
}

function change(bundle: Json, random: (below: number) => number): void {
  const all = places(bundle);
  const [holder, key] = all[random(all.length)] ?? [{}, ''];
  const put = (value: Json) =>
    Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
  const member = (holder as { [key: string]: Json })[key] ?? null;
  switch (random(7)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else Reflect.deleteProperty(holder, key);
      break;
    case 1:
      put(structuredClone(strange[random(strange.length)] ?? null));
      break;
    case 2:
      put([member]);
      break;
    case 3:
      if (Array.isArray(member)) put(structuredClone([...member, ...member, ...member]));
      else put({ value: member });
      break;
    case 4: {
      const others = places(bundle);
      const [from, name] = others[random(others.length)] ?? [{}, ''];
      put(structuredClone((from as { [key: string]: Json })[name] ?? null));
      break;
    }
    case 5: {
      const others = places(foreign ?? null).filter(([, name]) => name === key);
      const [from, name] = others[random(Math.max(1, others.length))] ?? [{}, ''];
      put(structuredClone((from as { [key: string]: Json })[name] ?? null));
      break;
    }
    default:
      put(
        typeof member === 'string'
          ? member.slice(0, random(member.length + 1) >> 1)
          : 'x'.repeat(random(100)),
      );
  }
}

/** The same for a verifier: order and number of equal OCSP responses don't matter. */
const meaning = (value: Json): string =>
  canonicalText(
    JSON.parse(JSON.stringify(value), (key, member: unknown) =>
      key === 'ocsp' && Array.isArray(member)
        ? [...new Set(member.map(String))].toSorted((a, c) => a.localeCompare(c))
        : member,
    ) as Canonical,
  );

function meansTheSame(text: string): boolean {
  try {
    return meaning(JSON.parse(text) as Json) === meaning(own ?? null);
  } catch {
    return false;
  }
}

it('mutated bundles are rejected, quickly and without throwing', async () => {
  const random = seededRandom(SEED);
  const verifier = new Verifier();
  let rejected = 0;
  let slowestMs = 0;
  for (let run = 0; run < RUNS; run++) {
    const text = mutate(random);
    const startMs = performance.now();
    const { verdict } = await verifier.verify({ kind: 'bundle', text }, policy, NOW);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    if (verdict === 'rejected') rejected += 1;
    else expect(meansTheSame(text), `run ${run} of seed ${SEED} was accepted`).toBe(true);
  }
  expect(rejected).toBeGreaterThan(0.9 * RUNS);
  expect(slowestMs).toBeLessThan(HANG_MS);
}, 3_000_000);
