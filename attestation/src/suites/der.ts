/** DER, JSON and text encodings: what breaks their rules is refused by name. */
import { describe, expect, it } from 'vitest';
import { concatBytes, equalUnderMask, type Bytes } from '../bytes/bytes.ts';
import { parseJson } from '../bytes/json.ts';
import { fromBase64, fromBase64Url, fromHex, pemBlocks, pemBlocksWithin } from '../bytes/text-encodings.ts';
import { DerReader, tags, wholeSequence } from '../der/der.ts';
import * as values from '../der/values.ts';
import { pem } from '../simulated/certificates.ts';
import * as der from '../simulated/der-writer.ts';
import { NOW } from '../testing/world.ts';

const bytes = (...all: number[]): Bytes => Uint8Array.from(all);
const only = (input: Uint8Array) => new DerReader(input).next('x');

describe('DER', () => {
  it.each([
    ['nothing', bytes(), 'missing'],
    ['a tag of several bytes', bytes(0x1f, 0x81, 0), 'tag in several bytes'],
    ['no length', bytes(4), 'no length'],
    ['an indefinite length', bytes(0x30, 0x80, 0, 0), 'length in 0 bytes'],
    ['a length of four bytes', bytes(4, 0x84, 0, 0, 0, 1, 7), 'length in 4 bytes'],
    ['half a length', bytes(4, 0x82, 1), 'length cut off'],
    ['a long form for a short length', bytes(4, 0x81, 1, 7), 'shortest form'],
    [
      'a leading zero in a length',
      concatBytes(bytes(4, 0x82, 0, 0x90), new Uint8Array(0x90)),
      'shortest form',
    ],
    ['more than there is', bytes(4, 2, 7), 'longer than what holds it'],
  ])('refuses %s', (_, input, problem) => {
    expect(() => only(input)).toThrow(problem);
  });

  it('reads what follows the rules', () => {
    expect([...only(bytes(4, 2, 7, 8)).value]).toEqual([7, 8]);
    expect(only(concatBytes(bytes(4, 0x81, 0x80), new Uint8Array(0x80))).value.length).toBe(0x80);
    expect(only(concatBytes(bytes(4, 0x83, 1, 0, 0), new Uint8Array(65_536))).value.length).toBe(65_536);
  });

  it('refuses other tags, and what is left over', () => {
    expect(() => new DerReader(bytes(4, 0)).expect(tags.null, 'x')).toThrow('tag 0x04 instead of 0x05');
    expect(() => wholeSequence(bytes(0x30, 0, 0), 'x')).toThrow('unknown members');
  });
});

describe('values of DER', () => {
  const integers: [string, Bytes, string][] = [
    ['another type', bytes(4, 1, 1), 'not an INTEGER'],
    ['none', bytes(2, 0), 'not an INTEGER'],
    ['a leading zero', bytes(2, 2, 0, 1), 'shortest form'],
    ['leading ones', bytes(2, 2, 0xff, 0x80), 'shortest form'],
    ['a negative one', bytes(2, 1, 0x80), 'negative'],
    ['one above 48 bits', concatBytes(bytes(2, 7, 1), new Uint8Array(6)), 'too large'],
  ];
  it.each(integers)('refuse an integer: %s', (_, input, problem) => {
    expect(() => values.smallInteger(only(input), 'x')).toThrow(problem);
  });
  it('read integers', () => {
    expect(values.smallInteger(only(bytes(2, 2, 0, 0x80)), 'x')).toBe(128);
    expect(values.smallInteger(only(bytes(2, 1, 0)), 'x')).toBe(0);
    expect(values.integerHex(only(bytes(2, 2, 0, 0x80)), 'x', 1)).toBe('80');
    expect(values.integerHex(only(bytes(2, 1, 0)), 'x', 1)).toBe('00');
    expect(() => values.integerHex(only(bytes(2, 2, 1, 0)), 'x', 1)).toThrow('too large');
    expect([...values.integerPadded(only(bytes(2, 2, 0, 0x80)), 'x', 3)]).toEqual([0, 0, 0x80]);
    expect(() => values.integerPadded(only(bytes(2, 2, 1, 0)), 'x', 1)).toThrow('too large');
  });

  it.each([
    ['another type', bytes(2, 1, 0), 'not a BOOLEAN'],
    ['two bytes', bytes(1, 2, 0, 0), 'not a BOOLEAN'],
    ['BER for TRUE', bytes(1, 1, 1), 'neither'],
  ])('refuse a boolean: %s', (_, input, problem) => {
    expect(() => values.boolean(only(input), 'x')).toThrow(problem);
  });
  it('read booleans', () => {
    expect([bytes(1, 1, 0), bytes(1, 1, 0xff)].map((input) => values.boolean(only(input), 'x'))).toEqual([
      false,
      true,
    ]);
  });

  it.each([
    ['another type', bytes(4, 2, 0, 1), 'not a BIT STRING of whole bytes'],
    ['unused bits', bytes(3, 2, 1, 2), 'not a BIT STRING of whole bytes'],
    ['none', bytes(3, 0), 'not a BIT STRING of whole bytes'],
  ])('refuse whole bytes: %s', (_, input, problem) => {
    expect(() => values.wholeBytes(only(input), 'x')).toThrow(problem);
  });

  it.each([
    ['another type', bytes(4, 2, 0, 1), 'not a BIT STRING'],
    ['eight unused bits', bytes(3, 2, 8, 0), 'not a BIT STRING'],
    ['padding that is set', bytes(3, 2, 1, 1), 'padding'],
    ['padding of nothing', bytes(3, 1, 1), 'padding'],
  ])('refuse named bits: %s', (_, input, problem) => {
    expect(() => values.namedBits(only(input), 'x')).toThrow(problem);
  });
  it('read named bits, trailing zeros included', () => {
    expect([...values.namedBits(only(bytes(3, 2, 1, 6)), 'x')]).toEqual([5, 6]);
    expect([...values.namedBits(only(bytes(3, 1, 0)), 'x')]).toEqual([]);
  });

  it.each([
    ['another type', bytes(4, 1, 1), 'not an OBJECT'],
    ['nothing', bytes(6, 0), 'not an OBJECT'],
    ['33 bytes', concatBytes(bytes(6, 33), new Uint8Array(33).fill(1)), 'not an OBJECT'],
    ['a padded arc', bytes(6, 3, 0x2a, 0x80, 1), 'shortest form'],
    ['an arc cut off', bytes(6, 2, 0x2a, 0x81), 'cut off'],
    [
      'an arc too large',
      bytes(6, 10, 0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
      'too large',
    ],
  ])('refuse an object identifier: %s', (_, input, problem) => {
    expect(() => values.oid(only(input), 'x')).toThrow(problem);
  });
  it('read object identifiers and octets', () => {
    for (const id of ['1.2.840.113741.1.13.1', '2.5.29.15', '2.999.3', '1.2.16384'])
      expect(values.oid(only(der.oidOf(id)), 'x')).toBe(id);
    expect(() => values.octets(only(bytes(3, 1, 0)), 'x')).toThrow('not an OCTET STRING');
  });

  it.each([
    ['another type', der.text(tags.ia5String, '260101000000Z'), 'not a time'],
    ['no seconds', der.text(tags.utcTime, '2601010000Z'), 'not a time'],
    ['a zone', der.text(tags.utcTime, '260101000000+0100'), 'not a time'],
    ['fractions', der.text(tags.generalizedTime, '20260101000000.5Z'), 'not a time'],
    ['the 13th month', der.text(tags.utcTime, '261301000000Z'), 'no such date'],
    ['the 30th of February', der.text(tags.utcTime, '260230000000Z'), 'no such date'],
    ['a second too many', der.text(tags.utcTime, '260101000060Z'), 'no such date'],
    ['the year 99', der.text(tags.generalizedTime, '00990101000000Z'), 'no such date'],
  ])('refuse a time: %s', (_, input, problem) => {
    expect(() => values.time(only(input), 'x')).toThrow(problem);
  });
  it('read times of both centuries', () => {
    expect(values.time(only(der.text(tags.utcTime, '491231235959Z')), 'x')).toBe(
      Date.UTC(2049, 11, 31, 23, 59, 59),
    );
    expect(values.time(only(der.text(tags.utcTime, '500101000000Z')), 'x')).toBe(Date.UTC(1950, 0, 1));
    expect(values.time(only(der.generalizedTime(NOW)), 'x')).toBe(NOW);
  });
});

describe('JSON', () => {
  it.each([
    ['nothing', '', 'not JSON'],
    ['half of it', '{"a":', 'not JSON'],
    ['a member twice', '{"a":1,"b":{},"a":1}', 'twice'],
    ['a member twice, written in two ways', String.raw`[{"a":1,"\u0061":2}]`, 'twice'],
    ['a prototype twice', '{"__proto__":1,"__proto__":2}', 'twice'],
    ['a name with a quotation mark, twice', String.raw`{"\"":1,"\""${' '}:2}`, 'twice'],
  ])('refuses %s', (_, text, problem) => {
    expect(() => parseJson(text, 'x')).toThrow(problem);
  });
  it('reads what has one meaning', () => {
    const text = String.raw`{"a":[":","\"a\":","\\",{"a" :null}],"__proto__":{"b":": \""}}`;
    expect(JSON.stringify(parseJson(text, 'x'))).toBe(JSON.stringify(JSON.parse(text)));
  });
  it.each([
    ['brackets', '['.repeat(500_000) + ']'.repeat(500_000)],
    ['open brackets', '['.repeat(1_000_000)],
    ['objects', '{"a":'.repeat(150_000) + '1' + '}'.repeat(150_000)],
    ['members', `[${'{},'.repeat(330_000)}{}]`],
  ])('refuses a megabyte of %s at once', (_, text) => {
    const before = performance.now();
    expect(() => parseJson(text, 'x')).toThrow('too deep or too many');
    expect(performance.now() - before).toBeLessThan(100);
  });
  it('takes brackets inside of strings for text', () => {
    const text = JSON.stringify({ a: String.raw`"[{`.repeat(50_000), b: [[['\\'], '[']] });
    expect(parseJson(text, 'x')).toEqual(JSON.parse(text));
  });
});

describe('text encodings', () => {
  it.each(['AAA', 'AA=A', '*AAA', 'AAAA=', 'A===', 'AA A', 'AAAA\n', 'AR==', 'AAB='])(
    'refuse base64 %s',
    (input) => {
      expect(() => fromBase64(input, 'x')).toThrow('not base64');
    },
  );
  it.each(['A', 'AA+A', 'AA==', 'AR', 'AAB', 'A A'])('refuse base64url %s', (input) => {
    expect(() => fromBase64Url(input, 'x')).toThrow('not base64url');
  });
  it.each(['0', 'zz'])('refuse hexadecimal %s', (input) => {
    expect(() => fromHex(input, 'x')).toThrow('not hexadecimal');
  });
  it('read what is right', () => {
    expect([...fromBase64('AQI=', 'x')]).toEqual([1, 2]);
    expect([...fromBase64Url('-_8', 'x')]).toEqual([0xfb, 0xff]);
  });
  it('refuse PEM with anything else in it, and too many blocks', () => {
    const text = `text ${pem('X', bytes(1))} text ${pem('Y', bytes(2))}`;
    for (const other of [text, `${pem('X', bytes(1))}x`, '-----BEGIN X-----\nAAAA'])
      expect(() => pemBlocks(other, 'X', 8)).toThrow('something else');
    expect(() => pemBlocks(pem('X', bytes(1)).repeat(3), 'X', 2)).toThrow('more than 2');
    expect(pemBlocks(`\n${pem('X', bytes(1))}\r\n${pem('X', bytes(2))}`, 'X', 2)).toEqual([
      bytes(1),
      bytes(2),
    ]);
    expect(pemBlocksWithin(text, 'X', 8)).toEqual([bytes(1)]);
  });
  it('compare under a mask only what is of one length', () => {
    expect(equalUnderMask(bytes(1, 3), bytes(1, 2), bytes(0xff, 0xfe))).toBe(true);
    expect(equalUnderMask(bytes(1, 3), bytes(1, 3), bytes(0xff, 0xfe))).toBe(false);
    expect(equalUnderMask(bytes(1), bytes(1, 0), bytes(0xff))).toBe(false);
    expect(equalUnderMask(bytes(1), bytes(1), bytes(0xff, 0))).toBe(false);
  });
});
