/** Control and format characters (Unicode Cc and Cf) as escapes: what comes from input must not rewrite a terminal. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
