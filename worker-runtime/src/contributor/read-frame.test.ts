import { limits } from '@tussah/protocol/limits';
import { describe, expect, test } from 'vitest';
import { readCoordinatorFrame } from './read-frame.ts';
import { frames } from './session-fixtures.ts';

describe('frames of the coordinator', () => {
  test.each(Object.values(frames))('$type is read as it is', (frame) => {
    expect(readCoordinatorFrame(JSON.stringify(frame))).toEqual({ ok: true, value: frame });
  });

  test.each([
    ['malformed_frame', new ArrayBuffer(1)],
    ['malformed_frame', 'not json'],
    ['malformed_frame', '{"type":"shutdown"}'],
    ['malformed_frame', JSON.stringify({ ...frames.ping, extra: 1 })],
    ['frame_too_large', ' '.repeat(limits.coordinatorFrameBytes + 1)],
    ['protocol_mismatch', JSON.stringify({ ...frames.challenge, protocol: 'tussah.v2' })],
  ])('refused: %s', (code, data) => {
    expect(readCoordinatorFrame(data)).toMatchObject({ ok: false, failure: { code } });
  });

  test('a refusal never quotes what was sent', () => {
    const secret = { ...frames['job-offer'], maxTokens: 'my secret prompt' };
    expect(JSON.stringify(readCoordinatorFrame(JSON.stringify(secret)))).not.toContain('secret');
  });
});
