import { expect, it } from 'vitest';
import { isLoopback } from './loopback.ts';

it.each(['localhost', 'a.localhost', '127.0.0.1', '127.8.8.8', '[::1]'])('%s is this machine', (name) => {
  expect(isLoopback(name)).toBe(true);
});

it.each([
  'example.org',
  'localhost.example.org',
  '127.0.0.1.example.org',
  '10.0.0.1',
  'notlocalhost',
  '[::2]',
])('%s is not', (name) => expect(isLoopback(name)).toBe(false));
