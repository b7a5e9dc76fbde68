/**
 * TON's address as people copy it (TEP-2): tag, workchain, 32 bytes of account and a CRC-16, in 48 characters of base64url.
 * The checksum finds every mistyped character before money goes to nobody.
 */
export type WalletReading =
  | { readonly ok: true; readonly address: string }
  | { readonly ok: false; readonly reason: string };

const tags = { bounceable: 0x11, nonBounceable: 0x51, testOnly: 0x80 } as const;

export function readWallet(typed: string): WalletReading {
  const text = typed.trim().replaceAll('+', '-').replaceAll('/', '_');
  if (!/^[\w-]{48}$/.test(text))
    return { ok: false, reason: 'A TON address has 48 characters and begins with UQ or EQ.' };
  const bytes = bytesOf(text);
  const stated = ((bytes[34] ?? 0) << 8) | (bytes[35] ?? 0);
  if (crc16(bytes.subarray(0, 34)) !== stated)
    return { ok: false, reason: 'A character of this address is wrong: its checksum does not match.' };
  const tag = bytes[0] ?? 0;
  if ((tag & tags.testOnly) !== 0)
    return { ok: false, reason: 'This address is marked for the test network only: copy its UQ form.' };
  if (tag !== tags.bounceable && tag !== tags.nonBounceable)
    return { ok: false, reason: 'This is not the address of a wallet.' };
  return { ok: true, address: text };
}

function bytesOf(base64url: string): Uint8Array {
  const binary = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** CRC-16/XMODEM: polynomial 0x1021, nothing reflected, begun with zero. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc;
}
