/** Carries out many hostile acts, several at a time, and tells what was wrong with how they were met. */

/** More would only hide the first. */
const FAULTS_SHOWN = 20;

export interface Act {
  readonly kind: string;
  /** Counts as so many hostile inputs. */
  readonly inputs: number;
  readonly fault: string | undefined;
  /** What was sent, for the report. */
  readonly sent: () => string;
}

/** Runs acts 0, 1, 2 … until `inputs` hostile inputs were sent, `width` of them at the same time. */
export async function attack(
  inputs: number,
  width: number,
  act: (number: number) => Promise<Act>,
): Promise<{
  readonly sent: number;
  readonly kinds: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
}> {
  const faults: string[] = [];
  const kinds = new Map<string, number>();
  let sent = 0;
  let next = 0;
  const run = async () => {
    while (sent < inputs && faults.length < FAULTS_SHOWN) {
      const number = next++;
      const done = await act(number);
      sent += done.inputs;
      kinds.set(done.kind, (kinds.get(done.kind) ?? 0) + 1);
      if (done.fault === undefined) continue;
      faults.push(`${done.kind} ${number}: ${done.fault}\n  after ${done.sent().slice(0, 600)}`);
    }
  };
  await Promise.all(Array.from({ length: width }, run));
  return { sent, kinds, faults };
}
