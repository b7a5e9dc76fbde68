/** Certification paths, RFC 5280 section 6.1, each demand as a step of its own. */
import { hexOf } from '@tussah/protocol/bytes';
import { equalBytes } from '../bytes/bytes.ts';
import type { Plan, StepRecord } from '../steps/record.ts';
import { isoOf, type Clock } from '../steps/clock.ts';
import { verifyX509 } from './algorithms.ts';
import type { Certificate } from './certificate.ts';
import type { ChainCache } from './chain-cache.ts';
import { extensionIds, keyUsages } from './extensions.ts';

const aspects = [
  'length',
  'root',
  'names',
  'authorities',
  'path-length',
  'key-usage',
  'extensions',
  'dates',
  'signatures',
] as const;
type Aspect = (typeof aspects)[number];
export type ChainStep<Prefix extends string> = `${Prefix}.${Aspect}`;

/** The steps of one chain; `what` names it in the middle of a sentence. */
export function chainPlan<Prefix extends string>(
  prefix: Prefix,
  what: string,
  root: string,
): Plan<ChainStep<Prefix>> {
  const present = `Present the ${what} as its vendor issued it.`;
  const texts: Record<Aspect, { title: string; remedy: string }> = {
    length: { title: `The ${what} has as many certificates as it should`, remedy: present },
    root: { title: `The ${what} ends at ${root}`, remedy: `Present a chain up to ${root}.` },
    names: { title: `Each issuer in the ${what} is the subject above it`, remedy: present },
    authorities: {
      title: `All above the leaf of the ${what} are authorities, and the leaf is none`,
      remedy: present,
    },
    'path-length': { title: `The ${what} keeps to its path length limits`, remedy: present },
    'key-usage': { title: `The keys in the ${what} are used for what they are meant for`, remedy: present },
    extensions: { title: `The ${what} has no critical extension that is unknown here`, remedy: present },
    dates: {
      title: `The ${what} is valid now`,
      remedy: 'Renew the certificate that is out of its dates, or check the clock.',
    },
    signatures: { title: `The signatures in the ${what} are right`, remedy: present },
  };
  return Object.fromEntries(aspects.map((aspect) => [`${prefix}.${aspect}`, texts[aspect]])) as Plan<
    ChainStep<Prefix>
  >;
}

export interface ChainDemands {
  /** How many certificates, leaf and root included. */
  readonly length: number;
  /** SHA-256 of the roots accepted, in hexadecimal. */
  readonly roots: readonly string[];
  /** Critical extensions that the caller reads by itself. */
  readonly understood?: readonly string[];
}

const understoodHere: readonly string[] = [extensionIds.keyUsage, extensionIds.basicConstraints];

/** Checks a chain, leaf first and root last. Resolves with whether all of it is right. */
export async function checkChain<Prefix extends string>(
  record: Pick<StepRecord<ChainStep<NoInfer<Prefix>>>, 'check'>,
  prefix: Prefix,
  certificates: readonly Certificate[],
  demands: ChainDemands,
  { clock, chains }: { readonly clock: Clock; readonly chains: ChainCache },
): Promise<boolean> {
  const step = (aspect: Aspect): ChainStep<Prefix> => `${prefix}.${aspect}`;
  const root = await rootOf(certificates);
  const passed = [
    record.check(step('length'), certificates.length === demands.length, {
      expected: `${demands.length} certificates`,
      got: String(certificates.length),
    }),
    record.check(step('root'), demands.roots.includes(root), {
      expected: demands.roots.join(' or '),
      got: root,
    }),
    record.check(step('names'), namesMatch(certificates)),
    record.check(
      step('authorities'),
      certificates.every((each, i) => each.constraints.ca === i > 0),
    ),
    record.check(step('path-length'), certificates.every(keepsPathLength)),
    record.check(step('key-usage'), certificates.every(usedAsMeant)),
  ];
  const known = new Set([...understoodHere, ...(demands.understood ?? [])]);
  const unknown = certificates.flatMap(({ extensions }) =>
    [...extensions].filter(([id, { critical }]) => critical && !known.has(id)).map(([id]) => id),
  );
  passed.push(
    record.check(step('extensions'), unknown.length === 0, {
      expected: 'none',
      got: unknown.join(', ') || 'none',
    }),
  );
  const late = certificates.filter((each) => !clock.within(each.notBeforeMs, each.notAfterMs));
  passed.push(
    record.check(step('dates'), late.length === 0, {
      expected: isoOf(clock.nowMs),
      got: (late.length === 0 ? certificates.slice(0, 1) : late).map(datesOf).join('; '),
    }),
    record.check(step('signatures'), await chains.signed(certificates, () => allSigned(certificates))),
  );
  return passed.every(Boolean);
}

const datesOf = (each: Certificate) => `${isoOf(each.notBeforeMs)} to ${isoOf(each.notAfterMs)}`;

/** SHA-256 of the last certificate. */
export async function rootOf(certificates: readonly Certificate[]): Promise<string> {
  const root = certificates.at(-1)?.raw ?? new Uint8Array();
  return hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', root)));
}

/** The root is its own issuer. */
const namesMatch = (certificates: readonly Certificate[]): boolean =>
  certificates.every((each, i) => equalBytes(each.issuer, (certificates[i + 1] ?? each).subject));

/** Between an authority and the leaf there are `i - 1` others. */
const keepsPathLength = ({ constraints }: Certificate, i: number): boolean =>
  constraints.pathLength === undefined || i - 1 <= constraints.pathLength;

const usedAsMeant = ({ usage }: Certificate, i: number): boolean =>
  i === 0
    ? usage === undefined || usage.has(keyUsages.digitalSignature)
    : usage !== undefined && usage.has(keyUsages.keyCertSign);

/** The root is pinned by its hash; its signature over itself says nothing. */
async function allSigned(certificates: readonly Certificate[]): Promise<boolean> {
  const results = await Promise.all(
    certificates.slice(0, -1).map(async (each, i) => {
      const issuer = certificates[i + 1];
      return issuer !== undefined && verifyX509(issuer.key, each.algorithm, each.signature, each.tbs);
    }),
  );
  return results.every(Boolean);
}
