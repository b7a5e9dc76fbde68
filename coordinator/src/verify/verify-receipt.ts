/** Checks one receipt, alone or as it came with an answer. */
import { verifyEitherReceipt } from './either-receipt.ts';
import { UnusableInput, verdictOf, type Check, type Verdict } from './verdict.ts';

/** Larger files are refused unread; an answer of 32,768 tokens with log probabilities stays below. */
export const RECEIPT_FILE_MAX_BYTES = 33_554_432;

type Json = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Judges the text of a receipt, a chat completion or the last chunk of a stream. `coordinator` is the key that the reader
 * expects. Throws `UnusableInput` when there is no receipt in it.
 */
export async function verifyReceiptText(text: string, coordinator?: string): Promise<Verdict> {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    throw new UnusableInput(
      'the input is not JSON',
      'Give one receipt, one chat completion or the last chunk of a stream, without the "data:" before it.',
    );
  }
  const { receipt, answer } = receiptIn(input);
  const { checks } = await verifyEitherReceipt(receipt, coordinator);
  return verdictOf([...checks, ...(answer === undefined ? [] : answerChecks(answer, receipt))]);
}

function receiptIn(input: unknown): { readonly receipt: Json; readonly answer?: Json } {
  if (!isObject(input))
    throw new UnusableInput(
      'the input is not a JSON object',
      'Give a receipt or an answer that carries one.',
    );
  if ('object' in input || 'tussah' in input) {
    const tussah = input['tussah'];
    if (isObject(tussah) && isObject(tussah['receipt'])) return { receipt: tussah['receipt'], answer: input };
    throw new UnusableInput(
      'there is no receipt in this answer',
      'In a stream it is the last chunk before [DONE] that carries tussah.receipt.',
    );
  }
  // The event of a sealed answer.
  if (input['type'] === 'receipt' && isObject(input['receipt'])) return { receipt: input['receipt'] };
  return { receipt: input };
}

/** Whether the answer around the receipt is the one it is for, as far as that is said in both. */
function answerChecks(answer: Json, receipt: Json): Check[] {
  const tussah = answer['tussah'];
  const jobId = isObject(tussah) ? tussah['jobId'] : undefined;
  const checks: Check[] = [
    {
      name: 'answer job',
      ok: jobId === receipt['jobId'],
      detail: `the answer is of ${String(jobId)}`,
    },
    { name: 'answer model', ok: answer['model'] === receipt['model'], detail: String(answer['model']) },
  ];
  const { usage } = answer;
  if (!isObject(usage)) return checks;
  const charged = isObject(receipt['usage']) ? receipt['usage'] : {};
  const [prompt, completion] = [usage['prompt_tokens'], usage['completion_tokens']];
  const ok = prompt === charged['promptTokens'] && completion === charged['completionTokens'];
  return [
    ...checks,
    { name: 'answer usage', ok, detail: `${String(prompt)} prompt, ${String(completion)} completion` },
  ];
}
