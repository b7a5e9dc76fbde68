/**
 * X-Wing with the X25519 of WebCrypto: the library's own is written in big integers, which is slower, and whose time depends on the
 * key. Its `_x25519` is there for classes that extend it.
 */
import { XWing } from '@hpke/hybridkem-x-wing';

/** RFC 8410, section 7: what stands before the 32 bytes of an X25519 private key. */
const pkcs8Prefix = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20,
]);

export class NativeXWing extends XWing {
  constructor() {
    super();
    this._x25519 = { derive: x25519 } as never;
  }
}

/** RFC 7748 section 5. Throws where the result is zero, as section 6.1 allows. */
export async function x25519(
  secret: Uint8Array<ArrayBuffer>,
  point: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const pkcs8 = new Uint8Array(pkcs8Prefix.length + secret.length);
  pkcs8.set(pkcs8Prefix);
  pkcs8.set(secret, pkcs8Prefix.length);
  const [privateKey, publicKey] = await Promise.all([
    crypto.subtle.importKey('pkcs8', pkcs8, 'X25519', false, ['deriveBits']),
    crypto.subtle.importKey('raw', point, 'X25519', true, []),
  ]);
  pkcs8.fill(0);
  return new Uint8Array(
    await crypto.subtle.deriveBits({ name: 'X25519', public: publicKey }, privateKey, 256),
  );
}

export const x25519BasePoint = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 9 : 0));
