import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventTooLarge, SseParser } from './sse.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (...chunks: string[]) => {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(bytes(chunk)));
};
const data = (...chunks: string[]) => read(...chunks).map((event) => event.data);

describe('SseParser', () => {
  it.each([
    ['one event', ['data: a\n\n'], ['a']],
    ['two events in one chunk', ['data: a\n\ndata: b\n\n'], ['a', 'b']],
    ['an event in two chunks', ['da', 'ta: a\n', '\n'], ['a']],
    ['lines joined by a line feed', ['data: a\ndata: b\n\n'], ['a\nb']],
    ['no space after the colon', ['data:a\n\n'], ['a']],
    ['only the first space taken off', ['data:  a \n\n'], [' a ']],
    ['colons inside a value', ['data: {"a":1}\n\n'], ['{"a":1}']],
    ['a field without a colon', ['data\n\n'], ['']],
    ['carriage returns', ['data: a\r\rdata: b\r\r'], ['a', 'b']],
    ['both', ['data: a\r\n\r\ndata: b\r\n\r\n'], ['a', 'b']],
    ['a line end cut between chunks', ['data: a\r', '\n\r', '\ndata: b\r\n\r\n'], ['a', 'b']],
    ['comments', [': waiting\n\n', ':\ndata: a\n: more\n\n'], ['a']],
    ['unknown fields', ['id: 4\nretry: 10\nfoo: bar\ndata: a\n\n'], ['a']],
    ['no data, no event', ['event: ping\n\n'], []],
    ['an unfinished event is not one', ['data: a\n'], []],
    ['a byte order mark at the start', ['\uFEFFdata: a\n\n'], ['a']],
  ])('reads %s', (_, chunks, expected) => {
    expect(data(...chunks)).toEqual(expected);
  });

  it('names the event', () => {
    expect(read('event: error\ndata: x\n\ndata: y\n\n')).toEqual([
      { event: 'error', data: 'x' },
      { event: 'message', data: 'y' },
    ]);
  });

  it('puts together a character cut between chunks', () => {
    const parser = new SseParser();
    const all = bytes('data: жар 🔥\n\n');
    const events = [...all].flatMap((byte) => parser.push(Uint8Array.of(byte)));
    expect(events).toEqual([{ event: 'message', data: 'жар 🔥' }]);
  });

  it('reads the same events however the bytes are cut', () => {
    const stream = fc.array(fc.string({ unit: 'binary' }).map((text) => text.replaceAll(/[\r\n]/g, ' ')));
    const ends = fc.constantFrom('\n', '\r', '\r\n');
    fc.assert(
      fc.property(stream, ends, fc.array(fc.nat(), { maxLength: 8 }), (texts, end, cuts) => {
        const all = bytes(texts.map((text) => `data: ${text}${end}${end}`).join(''));
        const at = [0, ...cuts.map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length];
        const parser = new SseParser();
        const events = at.slice(1).flatMap((to, i) => parser.push(all.subarray(at[i], to)));
        expect(events.map((event) => event.data)).toEqual(texts.map((text) => text.toWellFormed()));
      }),
    );
  });

  it('refuses an event without end', () => {
    const parser = new SseParser();
    const filler = bytes('x'.repeat(600_000));
    parser.push(bytes('data: '));
    parser.push(filler);
    expect(() => parser.push(filler)).toThrow(EventTooLarge);
  });

  it('refuses an event of too many lines', () => {
    const parser = new SseParser();
    const line = bytes(`data: ${'x'.repeat(600_000)}\n`);
    parser.push(line);
    expect(() => parser.push(line)).toThrow(EventTooLarge);
  });

  it('refuses an event of empty lines without end', () => {
    const parser = new SseParser();
    const lines = bytes('data:\n'.repeat(600_000));
    parser.push(lines);
    expect(() => parser.push(lines)).toThrow(EventTooLarge);
  });
});
