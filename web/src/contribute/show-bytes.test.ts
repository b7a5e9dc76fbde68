import { expect, it } from 'vitest';
import { showMegabytes } from './show-bytes.ts';

it.each([
  [0, '0.0 MB'],
  [2_790_752, '2.8 MB'],
  [944_620_000, '945 MB'],
  [1_403_340_000, '1.4 GB'],
])('shows %i bytes as %s', (bytes, text) => {
  expect(showMegabytes(bytes)).toBe(text);
});
