/** Searches all that was written or sent for a text that should not be there, in every form in which it could have been put. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { idsOf } from './harness.ts';

/** By where it stands. */
export type Written = ReadonlyMap<string, string | Uint8Array>;

/** Every form in which bytes could have been written down; base64 at each of its three alignments. */
export function formsOfBytes(bytes: Buffer): Map<string, Buffer> {
  const hexadecimal = bytes.toString('hex');
  const forms = new Map([
    ['raw', bytes],
    ['hexadecimal', Buffer.from(hexadecimal)],
    ['HEXADECIMAL', Buffer.from(hexadecimal.toUpperCase())],
    ['list of bytes', Buffer.from(bytes.join(','))],
    ['list of bytes, apart', Buffer.from(bytes.join(', '))],
  ]);
  for (const encoding of ['base64', 'base64url'] as const)
    for (let shift = 0; shift < 3; shift++) {
      // The characters at both ends depend on what stands beside it.
      const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
        .toString(encoding)
        .replaceAll('=', '');
      forms.set(`${encoding} ${shift}`, Buffer.from(encoded.slice(4, -2)));
    }
  return forms;
}

/** Every form in which a text could have been written down. */
export function formsOf(text: string): Map<string, Buffer> {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const ids = idsOf(text);
  const utf16 = Buffer.from(text, 'utf16le');
  const texts = {
    'first line': text.split('\n')[0] ?? '',
    'second line': text.split('\n')[1] ?? text,
    JSON: json,
    'JSON twice': JSON.stringify(json).slice(1, -1),
    'JSON in ASCII': ascii,
    percent: encodeURIComponent(text),
    form: new URLSearchParams({ '': text }).toString().slice(1),
    'token ids': ids.join(','),
    'token ids, apart': ids.join(', '),
    'token ids in lines': ids.join('\n'),
  };
  return new Map([
    ...formsOfBytes(Buffer.from(text)),
    ...Object.entries(texts).map(([name, form]) => [name, Buffer.from(form)] as const),
    ['UTF-16, little-endian', utf16],
    ['UTF-16, big-endian', Buffer.from(utf16).swap16()],
    ['token ids of 32 bits', Buffer.from(Uint32Array.from(ids).buffer)],
    ['token ids of 16 bits', Buffer.from(Uint16Array.from(ids).buffer)],
  ]);
}

/** Where and in which form it stands in what was written. */
export function leaksOf(secret: string | ReadonlyMap<string, Buffer>, written: Written): string[] {
  const forms = [...(typeof secret === 'string' ? formsOf(secret) : secret)];
  return [...written].flatMap(([where, content]) => {
    const bytes = Buffer.from(content as Uint8Array);
    return forms.filter(([, form]) => bytes.includes(form)).map(([form]) => `${form} in ${where}`);
  });
}

export function filesUnder(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesUnder(path) : [path]));
}

/** All files of a folder, as they are. */
export const contentsOf = (folder: string): Map<string, Buffer> =>
  new Map(filesUnder(folder).map((path) => [path, readFileSync(path)]));
