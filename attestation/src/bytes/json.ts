/**
 * JSON (RFC 8259) that means one thing: a member that stands twice is refused. Readers differ in which of the two they take
 * (section 4), and so may whoever looks at the text. Text that is deeper or has more parts than evidence ever has is refused
 * before it is read: reading a megabyte of brackets takes half a second.
 */
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';

/** Throws `Malformed`. */
export function parseJson(text: string, what: string): unknown {
  demand(isPlain(text), `${what}: not JSON, or too deep or too many parts`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  demand(value !== undefined, `${what}: not JSON`);
  demand(namesIn(text) === membersOf(value), `${what}: a member twice`);
  return value;
}

const [quote, backslash, comma, openList, closeList, openObject, closeObject] = [...'"\\,[]{}'].map((c) =>
  c.charCodeAt(0),
);

/** Of text that is not JSON it may say anything. */
function isPlain(text: string): boolean {
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
    if (depth > limits.jsonDepth || parts > limits.jsonParts) return false;
  }
  return true;
}

/** A string, and whether a colon follows it, which makes it the name of a member. */
const strings = /"[^"\\]*(?:\\.[^"\\]*)*"([ \t\n\r]*:)?/g;

function namesIn(text: string): number {
  let names = 0;
  for (const [, colon] of text.matchAll(strings)) if (colon !== undefined) names += 1;
  return names;
}

/** Without recursion: text can be nested deeper than calls. */
function membersOf(value: unknown): number {
  let members = 0;
  const left = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (next === null || typeof next !== 'object') continue;
    const inside: unknown[] = Object.values(next);
    if (!Array.isArray(next)) members += inside.length;
    for (const each of inside) left.push(each);
  }
  return members;
}
