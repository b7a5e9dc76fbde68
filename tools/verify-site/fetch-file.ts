/** One file of a served site, bounded in size and time. */
export interface Served {
  readonly bytes: Uint8Array;
  readonly headers: Headers;
}

/** There is no such file, or one that can't be the one wanted. */
export interface Unserved {
  readonly kind: 'missing' | 'changed';
  readonly detail: string;
}

const fetchTimeoutMs = 120_000;

/** The site can't be judged: it does not answer. */
export class Unreachable extends Error {}

/** What stands at an address; `most` bytes of it are read. Throws `Unreachable`. */
export async function fetchFile(address: URL, most: number): Promise<Served | Unserved> {
  try {
    const response = await fetch(address, {
      redirect: 'manual',
      signal: AbortSignal.timeout(fetchTimeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      return { kind: 'missing', detail: `the server answers with status ${response.status}` };
    }
    const bytes = await readAtMost(response, most);
    if (bytes === undefined) return { kind: 'changed', detail: `larger than ${most} bytes` };
    return { bytes, headers: response.headers };
  } catch (error) {
    throw new Unreachable(`${address.href} can't be fetched: ${reasonOf(error)}`);
  }
}

async function readAtMost({ body }: Response, most: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the rest.
    if (size > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const reasonOf = (error: unknown): string => {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};
