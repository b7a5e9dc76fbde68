/**
 * Whether JSON text is as flat and as short of parts as evidence is. Reading a megabyte of brackets takes half a second; this
 * takes a few milliseconds, and says no.
 */
const DEPTH_MAX = 32;
/** Values and members; event logs have thousands. */
const PARTS_MAX = 100_000;

const [quote, backslash, comma, openList, closeList, openObject, closeObject] = [...'"\\,[]{}'].map((c) =>
  c.charCodeAt(0),
);

/** Of text that is not JSON it may say anything. */
export function isPlainJson(text: string): boolean {
  let depth = 0;
  let parts = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === backslash) i += 1;
      else if (c === quote) inString = false;
    } else if (c === quote) inString = true;
    else if (c === comma) parts += 1;
    else if (c === openList || c === openObject) {
      depth += 1;
      parts += 1;
    } else if (c === closeList || c === closeObject) depth -= 1;
    if (depth > DEPTH_MAX || parts > PARTS_MAX) return false;
  }
  return true;
}
