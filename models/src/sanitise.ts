/**
 * Makes control tokens that a person typed inside a message harmless.
 *
 * Engines such as wllama parse one prompt text, in which `<|im_end|>` always is the control token, wherever it came from.
 * So U+200B ZERO WIDTH SPACE is put after the first character of every control token in the contents. The text looks the
 * same, no longer holds the token, and the same text is given to engines that take ids: both see the same prompt.
 * Deterministic and idempotent. Lone surrogates, which no engine can encode, become U+FFFD.
 */

export function makeSanitiser(controlTokens: readonly string[]): (text: string) => string {
  // One character cannot be split, so it is replaced.
  const single = pattern(controlTokens.filter((token) => isOneCharacter.test(token)));
  const longer = pattern(controlTokens.filter((token) => !isOneCharacter.test(token)));
  // The look-ahead consumes one character only, so tokens that overlap are all broken.
  const opening = longer === undefined ? undefined : new RegExp(`(?=${longer})([^])`, 'gu');
  const alone = single === undefined ? undefined : new RegExp(single, 'gu');
  return (text) => {
    let clean = text.toWellFormed();
    if (alone) clean = clean.replace(alone, '\uFFFD');
    if (opening) clean = clean.replace(opening, '$1\u200B');
    return clean;
  };
}

const isOneCharacter = /^[^]$/u;

const pattern = (tokens: readonly string[]): string | undefined =>
  tokens.length === 0
    ? undefined
    : tokens.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)).join('|');
