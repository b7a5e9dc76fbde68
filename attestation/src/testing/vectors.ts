/** Real evidence of others, `../shared/vectors` beside the checkout; where it comes from is in its README. */
import type { TestContext } from 'vitest';
import { fromBase64 } from '../bytes/text-encodings.ts';
import type { Bytes } from '../bytes/bytes.ts';

declare module 'vitest/browser' {
  interface BrowserCommands {
    vector: (path: string) => Promise<string | null>;
  }
}

async function read(path: string): Promise<string | null> {
  if ('window' in globalThis) {
    const { commands } = await import('vitest/browser');
    return commands.vector(path);
  }
  const { readVector } = await import('./vector-command.ts');
  return readVector(path);
}

const present = (await read('README.md')) !== null;

/** Makes a test that needs the vectors; without them it is reported as skipped, with the reason. */
export const withVectors =
  (test: () => Promise<void>) =>
  async (context: TestContext): Promise<void> => {
    context.skip(!present, 'there are no vectors in ../shared/vectors');
    await test();
  };

export async function vector(path: string): Promise<Bytes> {
  return fromBase64((await read(path)) ?? '', path);
}
export const vectorText = async (path: string): Promise<string> =>
  new TextDecoder().decode(await vector(path));
export const vectorJson = async (path: string): Promise<unknown> => JSON.parse(await vectorText(path));
