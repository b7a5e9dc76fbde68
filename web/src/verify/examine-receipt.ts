/** Judges a receipt, alone or as it came with an answer, and against the evidence of its machine where that is there too. */
import { formatTon } from '@tussah/protocol/money';
import { checkPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import { verifyReceipt, type ReceiptCheck } from '@tussah/protocol/receipts';
import { claimOfCheck } from '../receipt/claims.ts';
import type { Fact, Finding } from './findings.ts';
import { isObject, type Recognised } from './recognise.ts';

/** A bundle that was judged, for the receipts beside it. */
export interface JudgedBundle {
  /** SHA-256 of its text. */
  readonly name: string;
  readonly accepted: boolean;
  readonly simulated: boolean;
  readonly receiptKey: string | undefined;
}

type ReceiptInput = Extract<Recognised, { kind: 'receipt' }>;
type Json = ReceiptInput['receipt'];

export async function examineReceipt(
  { tier, receipt, answer }: ReceiptInput,
  bundles: readonly JudgedBundle[],
): Promise<Finding> {
  const own = tier === 'private' ? await privateChecks(receipt, bundles) : await publicChecks(receipt);
  const checks = [...own.checks, ...(answer === null ? [] : answerChecks(answer, statedBy(receipt)))];
  return {
    kind: 'receipt',
    tier,
    answer: answer !== null,
    valid: checks.every(({ ok }) => ok),
    simulated: own.simulated,
    checks: checks.map((check) => ({ ...check, claim: claimOfCheck(check.name) })),
    facts: factsOf(receipt, tier),
    notes: own.notes,
  };
}

interface Checked {
  readonly simulated: boolean;
  readonly checks: readonly ReceiptCheck[];
  readonly notes: readonly string[];
}

const anyKey =
  'The coordinator’s key is the one that the receipt names. Compare it with the one that the coordinator you know names under /v1/network.';

async function publicChecks(receipt: Json): Promise<Checked> {
  const { checks } = await verifyReceipt(receipt);
  return { checks, simulated: false, notes: [anyKey] };
}

async function privateChecks(receipt: Json, bundles: readonly JudgedBundle[]): Promise<Checked> {
  const named = statedBy(receipt)['bundle'];
  const bundle = bundles.find(({ name }) => name === named);
  const key = bundle?.receiptKey;
  const { checks } = await checkPrivateReceipt(receipt, key === undefined ? {} : { receiptKey: key });
  if (bundle === undefined)
    return {
      checks,
      simulated: false,
      notes: [
        anyKey,
        'The node’s key is the one that the receipt names. Add the bundle that it names to see whether that key belongs to a verified machine.',
      ],
    };
  const detail = bundle.accepted ? 'accepted' : 'rejected: see the steps of the bundle';
  const evidence = { name: 'evidence', ok: bundle.accepted, detail };
  return { checks: [...checks, evidence], simulated: bundle.simulated, notes: [anyKey] };
}

/** The members that say what was done: of a private receipt they are the node's own. */
function statedBy(receipt: Json): Json {
  const { node } = receipt;
  const inner = isObject(node) ? node['receipt'] : undefined;
  return isObject(inner) ? inner : receipt;
}

/** Whether the answer around the receipt is the one it is for, as far as that is said in both. */
function answerChecks(answer: Json, stated: Json): ReceiptCheck[] {
  const { tussah, usage } = answer;
  const jobId = isObject(tussah) ? tussah['jobId'] : undefined;
  const checks: ReceiptCheck[] = [
    { name: 'answer job', ok: jobId === stated['jobId'], detail: shown(jobId) },
    { name: 'answer model', ok: answer['model'] === stated['model'], detail: shown(answer['model']) },
  ];
  if (!isObject(usage)) return checks;
  const counts = isObject(stated['usage']) ? stated['usage'] : stated;
  const [prompt, completion] = [usage['prompt_tokens'], usage['completion_tokens']];
  const ok = prompt === counts['promptTokens'] && completion === counts['completionTokens'];
  return [
    ...checks,
    { name: 'answer usage', ok, detail: `${shown(prompt)} read, ${shown(completion)} written` },
  ];
}

function factsOf(receipt: Json, tier: 'public' | 'private'): readonly Fact[] {
  const stated = statedBy(receipt);
  const usage = isObject(stated['usage']) ? stated['usage'] : stated;
  const times = [receipt['createdAtMs']].filter((ms) => typeof ms === 'number' && Math.abs(ms) < 8.64e15);
  return [
    ['Tier', tier],
    ['Model', shown(stated['model'])],
    ['Outcome', shown(stated['outcome'])],
    ['Tokens', `${shown(usage['promptTokens'])} read, ${shown(usage['completionTokens'])} written`],
    ['Charged', tonOf(receipt['chargedNano'])],
    ...times.map((ms): Fact => ['When', new Date(ms as number).toISOString()]),
    ['Job', shown(stated['jobId'])],
    ...(tier === 'private' ? [['Bundle', shown(stated['bundle'])] as const] : []),
    ['Coordinator', shown(receipt['coordinator'])],
  ];
}

/** What may be of any type and length. */
const shown = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 200) : '–';

const tonOf = (value: unknown): string =>
  typeof value === 'string' && /^\d{1,19}$/.test(value) ? `${formatTon(BigInt(value))} TON` : '–';
