/**
 * Whole characters from the bytes of tokens. A token may end inside a character; its text is known only when the character
 * is whole. Invalid bytes become U+FFFD exactly as in `TextDecoder` (WHATWG Encoding, UTF-8 decoder), and a byte order mark
 * is text like any other.
 */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

export const utf8Text = (bytes: Uint8Array): string => decoder.decode(bytes);
export const utf8Bytes = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);

/** How many bytes at the end begin a character that could still become valid: 0 to 3. */
export function incompleteTail(bytes: Uint8Array): number {
  for (let length = 1; length <= 3 && length <= bytes.length; length++) {
    const at = bytes.length - length;
    const lead = bytes[at] ?? 0;
    if (lead >= 0x80 && lead < 0xc0) continue;
    const wanted =
      lead >= 0xf0 && lead <= 0xf4
        ? 4
        : lead >= 0xe0 && lead < 0xf0
          ? 3
          : lead >= 0xc2 && lead < 0xe0
            ? 2
            : 1;
    if (length >= wanted) return 0;
    return length === 1 || secondByteFits(lead, bytes[at + 1] ?? 0) ? length : 0;
  }
  return 0;
}

/** The bounds of the second byte keep out overlong forms, surrogates and what lies beyond U+10FFFF. */
function secondByteFits(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second < 0x90;
  return true;
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export class Utf8Assembler {
  #open: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** The text since the last whole character, or null while it ends inside one. */
  push(bytes: Uint8Array): string | null {
    this.#open = joinBytes([this.#open, bytes]);
    if (incompleteTail(this.#open) > 0) return null;
    const text = utf8Text(this.#open);
    this.#open = new Uint8Array(0);
    return text;
  }
}
