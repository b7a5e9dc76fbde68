/** Character references that writers of Markdown use, resolved to characters; the result is only ever shown as text. */
const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00A0',
  copy: '©',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  times: '×',
  rarr: '→',
  larr: '←',
};

/** Resolves once: `&amp;lt;` is `&lt;`. Unknown references stay as they were written. */
export const decodeEntities = (text: string): string =>
  text.includes('&')
    ? text.replaceAll(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,6}));/g, (raw, decimal, hex, name) => {
        if (typeof name === 'string') return Object.hasOwn(named, name) ? (named[name] ?? raw) : raw;
        const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16);
        return character(code);
      })
    : text;

/** CommonMark 2.5: invalid code points and U+0000 become U+FFFD. */
function character(code: number): string {
  const valid = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return valid ? String.fromCodePoint(code) : '\uFFFD';
}
