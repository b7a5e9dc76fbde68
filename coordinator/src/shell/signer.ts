/** The coordinator's Ed25519 key, and fast checks of others' signatures, by Node's own cryptography. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { signedBytes, type Canonical } from '@tussah/protocol/canonical';

const KEYS_REMEMBERED = 1_024;
/** DER of a SubjectPublicKeyInfo for Ed25519 up to the 32 key bytes (RFC 8410 section 4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

export interface Signer {
  /** 64 hexadecimal digits. */
  readonly publicKey: string;
  sign(domain: string, value: Canonical): string;
}

/** Reads the key from a PEM file that only its owner may read, and makes one at the first start. */
export function loadSigner(path: string): Signer {
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  }
  chmodSync(path, 0o600);
  return signerOf(createPrivateKey(readFileSync(path)));
}

export function newSigner(): Signer {
  return signerOf(generateKeyPairSync('ed25519').privateKey);
}

function signerOf(privateKey: KeyObject): Signer {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return {
    publicKey: spki.subarray(spkiPrefix.length).toString('hex'),
    sign: (domain, value) => sign(null, signedBytes(domain, value), privateKey).toString('hex'),
  };
}

/** Checks Ed25519 signatures; key objects of recent signers are kept. */
export class SignatureChecker {
  readonly #keys = new Map<string, KeyObject>();

  /** False for anything malformed. `publicKey` and `signature` in hexadecimal. */
  check(publicKey: string, domain: string, value: Canonical, signature: string): boolean {
    try {
      return verify(null, signedBytes(domain, value), this.#keyOf(publicKey), Buffer.from(signature, 'hex'));
    } catch {
      return false;
    }
  }

  #keyOf(publicKey: string): KeyObject {
    const known = this.#keys.get(publicKey);
    if (known !== undefined) return known;
    const der = Buffer.concat([spkiPrefix, Buffer.from(publicKey, 'hex')]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    const oldest = this.#keys.keys().next();
    if (this.#keys.size >= KEYS_REMEMBERED && !oldest.done) this.#keys.delete(oldest.value);
    this.#keys.set(publicKey, key);
    return key;
  }
}
