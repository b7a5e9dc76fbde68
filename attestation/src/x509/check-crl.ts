/** Whether a CRL may be believed, and what it says; RFC 5280 section 6.3, for complete lists by the issuer itself. */
import { equalBytes, type Bytes } from '../bytes/bytes.ts';
import { isoOf, type Clock } from '../steps/clock.ts';
import type { Plan, StepRecord } from '../steps/record.ts';
import { verifyX509 } from './algorithms.ts';
import type { Certificate } from './certificate.ts';
import { parseCrl, type RevocationList } from './crl.ts';
import { keyUsages } from './extensions.ts';

const aspects = ['format', 'issuer', 'dates', 'signature'] as const;
type Aspect = (typeof aspects)[number];
export type CrlStep<Prefix extends string> = `${Prefix}.${Aspect}`;

export function crlPlan<Prefix extends string>(prefix: Prefix, what: string): Plan<CrlStep<Prefix>> {
  const remedy = `Fetch the ${what} again from its issuer.`;
  const texts: Record<Aspect, { title: string; remedy: string }> = {
    format: { title: `The ${what} can be read`, remedy },
    issuer: { title: `The ${what} was issued by the authority that it is about`, remedy },
    dates: { title: `The ${what} is current`, remedy },
    signature: { title: `The signature of the ${what} is right`, remedy },
  };
  return Object.fromEntries(aspects.map((aspect) => [`${prefix}.${aspect}`, texts[aspect]])) as Plan<
    CrlStep<Prefix>
  >;
}

/** Resolves with the list; undefined when there is none to read, or no issuer to compare it with. */
export async function checkCrl<Prefix extends string>(
  record: Pick<StepRecord<CrlStep<NoInfer<Prefix>>>, 'check' | 'parse'>,
  prefix: Prefix,
  der: () => Bytes,
  issuer: Certificate | undefined,
  clock: Clock,
): Promise<RevocationList | undefined> {
  const step = (aspect: Aspect): CrlStep<Prefix> => `${prefix}.${aspect}`;
  const list = record.parse(step('format'), 'a version 2 CRL in DER, hexadecimal or PEM', () =>
    parseCrl(der()),
  );
  if (list === undefined || issuer === undefined) return undefined;
  record.check(step('issuer'), equalBytes(list.issuer, issuer.subject) && mayIssue(issuer));
  record.check(step('dates'), clock.within(list.thisUpdateMs, list.nextUpdateMs), {
    expected: isoOf(clock.nowMs),
    got: `${isoOf(list.thisUpdateMs)} to ${isoOf(list.nextUpdateMs)}`,
  });
  record.check(step('signature'), await verifyX509(issuer.key, list.algorithm, list.signature, list.tbs));
  return list;
}

const mayIssue = ({ usage }: Certificate): boolean => usage !== undefined && usage.has(keyUsages.crlSign);
