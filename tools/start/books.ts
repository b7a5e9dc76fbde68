/** Recomputes the books of a coordinator that has ended, independently of the code that wrote them. */
import { join } from 'node:path';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { verifyBooks } from '../../coordinator/src/verify/verify-books.ts';

/** `data` is the coordinator's folder; all receipts in it must be signed by `coordinator`. */
export async function checkBooks(data: string, coordinator: string): Promise<Result<true, 'books_wrong'>> {
  const path = join(data, 'coordinator.sqlite');
  const wrong = await faults(path, coordinator);
  if (wrong.length === 0) return ok(true);
  return fail({
    code: 'books_wrong',
    message: `The books do not hold: ${wrong.join('; ')}.`,
    remedy: 'Do not pay out from these books; report the lines above.',
  });
}

async function faults(path: string, coordinator: string): Promise<string[]> {
  try {
    const { verdict, checks } = await verifyBooks(path, coordinator);
    const wrong = checks.filter((check) => !check.ok).map((check) => `${check.name}: ${check.detail}`);
    return verdict === 'valid' || wrong.length > 0 ? wrong : ['nothing was checked'];
  } catch (error) {
    // The file is missing or is no database.
    return [error instanceof Error ? error.message : String(error)];
  }
}
