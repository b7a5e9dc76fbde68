/** Frames with something wrong in them, and bytes that are no frame at all. */
import { closeCodes, type ContributorFrame } from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import { newId } from '@tussah/protocol/ids';
import { mutatedJson, mutatedText } from './json-mutations.ts';
import { frameOf, opcodes } from './raw-websocket.ts';
import type { Random } from './random.ts';
import { MARKER, wrongValues } from './vocabulary.ts';

/** Bytes to send, and how many hostile inputs they are. */
export interface Blow {
  readonly bytes: Buffer;
  readonly inputs: number;
  /** The connection may be left inside a frame, so that nothing after it can be refused. */
  readonly dangling?: boolean;
  readonly name: string;
}

const hex = (random: Random, digits: number) => random.bytes(digits / 2).toString('hex');

/** Every frame a contributor may send, well formed, about a job that may not be its own. */
function anyFrame(random: Random, jobId: string): ContributorFrame {
  const about = random.chance(0.8) ? jobId : newId('job');
  return random.pick<() => ContributorFrame>([
    () => ({ type: 'job-accept', jobId: about }),
    () => ({ type: 'job-decline', jobId: about, reason: MARKER }),
    () => ({ type: 'job-failed', jobId: about, code: MARKER, message: MARKER }),
    () => ({ type: 'status', state: random.pick(['ready', 'paused', 'draining']) }),
    () => ({ type: 'pong', n: random.below(3) }),
    () => ({
      type: 'text-delta',
      jobId: about,
      position: random.pick([0, 1, 4, 1_000, Number.MAX_SAFE_INTEGER]),
      ids: random.pick([[65], [0], [2], [511], [16_777_215], Array.from({ length: 512 }, () => 65)]),
      text: random.pick(['a', '', MARKER, '\u0000', '\ufffd']),
      ...(random.chance(0.3)
        ? { logprobs: [{ token: MARKER, logprob: -0, bytes: [255], top_logprobs: [] }] }
        : {}),
    }),
    () => ({
      type: 'job-done',
      jobId: about,
      finishReason: 'stop',
      tokens: random.pick([0, 1, 1e9]),
      idsHash: hex(random, 64),
      signature: hex(random, 128),
    }),
    () => ({
      type: 'hello',
      protocol: 'tussah.v1',
      publicKey: hex(random, 64),
      signature: hex(random, 128),
      wallet: null,
      agent: MARKER,
      resume: random.chance(0.5) ? newId('sess') : null,
    }),
    () => ({
      type: 'model-ready',
      model: random.pick(['tussah-tiny', MARKER, '__proto__', 'constructor']),
      build: random.pick(['wllama-tussah-tiny-f32', MARKER, '__proto__', 'toString']),
      profile: { engine: 'wllama', version: MARKER, prefix: 'text', seedBlock: 256, replay: 'same-device' },
      tokensPerSecond: random.pick([0, 1e-300, 100_000]),
      ask: random.pick([
        null,
        { promptNanoPerMillion: '0', completionNanoPerMillion: '9000000000000000000' },
      ]),
    }),
  ])();
}

/** A frame that breaks off, is misspelled, or has one wrong field. */
function hostileText(random: Random, right: ContributorFrame, jobId: string): string {
  const dice = random.next();
  if (dice < 0.6) return mutatedJson(random, random.chance(0.6) ? right : anyFrame(random, jobId));
  if (dice < 0.8) return JSON.stringify(anyFrame(random, jobId));
  if (dice < 0.9) return mutatedText(random, JSON.stringify(right));
  return random.pick(wrongValues);
}

const text = (bytes: string | Buffer, shape = {}) => frameOf(opcodes.text, bytes, shape);

/** A blow below the level of JSON, or an ordinary frame that is wrong. */
export function blow(random: Random, right: ContributorFrame, jobId: string): Blow {
  if (random.chance(0.8)) {
    const said = hostileText(random, right, jobId);
    return { name: said, bytes: text(said), inputs: 1 };
  }
  const said = JSON.stringify(right);
  const halves = [said.slice(0, said.length >> 1), said.slice(said.length >> 1)] as const;
  const blows: [string, () => Buffer | [Buffer, number], boolean?][] = [
    ['binary', () => frameOf(opcodes.binary, said)],
    [
      'fragments',
      () => Buffer.concat([text(halves[0], { fin: false }), frameOf(opcodes.continuation, halves[1])]),
    ],
    [
      'a ping between fragments',
      () =>
        Buffer.concat([
          text(halves[0], { fin: false }),
          frameOf(opcodes.ping, 'x'),
          frameOf(opcodes.continuation, halves[1]),
        ]),
    ],
    ['a text between fragments', () => Buffer.concat([text(halves[0], { fin: false }), text(halves[1])])],
    ['fragments without an end', () => text(halves[0], { fin: false }), true],
    [
      'a fragment a character',
      () =>
        Buffer.concat([
          text('', { fin: false }),
          ...[...said].map((c) => frameOf(opcodes.continuation, c, { fin: false })),
          frameOf(opcodes.continuation, ''),
        ]),
    ],
    [
      'empty fragments',
      () =>
        Buffer.concat([
          text('', { fin: false }),
          ...Array.from({ length: 1_000 }, () => frameOf(opcodes.continuation, '', { fin: false })),
        ]),
      true,
    ],
    ['a continuation of nothing', () => frameOf(opcodes.continuation, said)],
    ['an opcode that is reserved', () => frameOf(random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), said)],
    ['a reserved bit', () => text(said, { reserved: random.pick([1, 2, 4, 7]) })],
    ['no mask', () => text(said, { masked: false })],
    ['no UTF-8', () => text(Buffer.from([0x22, 0xff, 0xc0, 0xaf, 0x22]))],
    ['a surrogate in UTF-8', () => text(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))],
    ['half a character', () => text(Buffer.from([0x22, 0xf0, 0x9f]))],
    ['a length of 2^63', () => text('x', { length: 2n ** 63n, lengthBytes: 8 })],
    ['a length of 2^31', () => text('x', { length: 2n ** 31n, lengthBytes: 8 })],
    ['a length that is not there', () => text('x', { length: 60_000n }), true],
    ['a length in too many bytes', () => text('{}', { lengthBytes: 8 })],
    ['a frame just too large', () => text(`"${MARKER}${'x'.repeat(limits.contributorFrameBytes)}"`)],
    ['a frame much too large', () => text('x'.repeat(5 * limits.contributorFrameBytes))],
    ['a ping too large', () => frameOf(opcodes.ping, 'x'.repeat(126))],
    ['a ping in pieces', () => frameOf(opcodes.ping, 'x', { fin: false })],
    ['pings', () => [Buffer.concat(Array.from({ length: 30 }, () => frameOf(opcodes.ping, MARKER))), 30]],
    [
      'unasked pongs',
      () => [Buffer.concat(Array.from({ length: 30 }, () => frameOf(opcodes.pong, MARKER))), 30],
    ],
    [
      'a flood of pings',
      () => [
        Buffer.concat(
          Array.from({ length: 2 * limits.frameBurst }, () => frameOf(opcodes.ping, 'x'.repeat(125))),
        ),
        100,
      ],
    ],
    [
      'a flood of frames',
      () => [
        Buffer.concat(Array.from({ length: 2 * limits.frameBurst }, () => text('{"type":"pong","n":0}'))),
        100,
      ],
    ],
    ['a close', () => closing(random)],
    ['a close in pieces', () => frameOf(opcodes.close, Buffer.from([3, 232]), { fin: false })],
    ['half a head', () => Buffer.from([0x81]), true],
    ['noise', () => random.bytes(1 + random.below(300)), true],
  ];
  const [name, make, dangling = false] = random.pick(blows);
  const made = make();
  const [bytes, inputs] = Array.isArray(made) ? made : ([made, 1] as const);
  return { name, bytes, inputs, dangling };
}

function closing(random: Random): Buffer {
  const code = random.pick([
    0,
    999,
    1000,
    1001,
    1004,
    1005,
    1006,
    1015,
    2999,
    3000,
    5000,
    65_535,
    ...Object.values(closeCodes),
  ]);
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  const reason = random.pick([
    Buffer.alloc(0),
    Buffer.from(MARKER),
    Buffer.from([0xff, 0xfe]),
    Buffer.alloc(124, 'x'),
  ]);
  return frameOf(opcodes.close, random.chance(0.1) ? Buffer.from([3]) : Buffer.concat([payload, reason]));
}
