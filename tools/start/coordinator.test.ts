import { describe, expect, it } from 'vitest';
import { listeningUrl } from './coordinator.ts';

describe("the coordinator's line of readiness", () => {
  it('names the address, without a slash at its end', () => {
    expect(listeningUrl('{"event":"listening","url":"http://127.0.0.1:4180/"}')).toBe(
      'http://127.0.0.1:4180',
    );
  });

  it.each(['', 'listening', '{', '{"event":"stopped"}', '{"event":"listening","url":"here"}'])(
    'is not %j',
    (line) => {
      expect(listeningUrl(line)).toBeUndefined();
    },
  );
});
