/** The operator's identity: who is paid. It opens no job and signs no receipt, so it may be kept in a file. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { hexOf } from '@tussah/protocol/bytes';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { newIdentity, type Identity } from '@tussah/protocol/signatures';

/** The key in the file, PKCS #8 in PEM; made where there is none. Null makes one that lives as long as this process. */
export async function openIdentity(file: string | null): Promise<Result<Identity, 'identity_unusable'>> {
  if (file === null) return ok(await newIdentity());
  try {
    const kept = readText(file);
    if (kept !== undefined) return ok(await fromPem(kept));
    const made = await newIdentity(true);
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', made.privateKey));
    const pem = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({
      type: 'pkcs8',
      format: 'pem',
    });
    writeFileSync(file, pem, { mode: 0o600, flag: 'wx' });
    return ok(made);
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'no Ed25519 key';
    return fail({
      code: 'identity_unusable',
      message: `The identity in ${file} can’t be used (${why}).`,
      remedy:
        'Give a file with an Ed25519 key in PEM (openssl genpkey -algorithm ed25519), or one that can be made.',
    });
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function fromPem(pem: string): Promise<Identity> {
  const key = createPrivateKey(pem);
  const pkcs8 = Uint8Array.from(key.export({ type: 'pkcs8', format: 'der' }));
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign']);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { publicKey: hexOf(spki.subarray(-32)), privateKey };
}
