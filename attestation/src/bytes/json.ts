/**
 * JSON (RFC 8259) that means one thing: a member that stands twice is refused. Readers differ in which of the two they take
 * (section 4), and so may whoever looks at the text.
 */
import { demand } from '../malformed.ts';

/** Throws `Malformed`. */
export function parseJson(text: string, what: string): unknown {
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
