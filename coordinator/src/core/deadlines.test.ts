import { expect, test } from 'vitest';
import { Deadlines } from './deadlines.ts';

test('what was asked for more than once is due once, at the earliest time', () => {
  const deadlines = new Deadlines();
  deadlines.set('job', 'a', 30);
  deadlines.set('job', 'a', 10);
  deadlines.set('job', 'a', 20);
  deadlines.set('connection', 'a', 15);
  expect(deadlines.size).toBe(2);
  expect(deadlines.due(9)).toBeUndefined();
  expect(deadlines.due(30)).toMatchObject({ kind: 'job', id: 'a' });
  expect(deadlines.due(30)).toMatchObject({ kind: 'connection', id: 'a' });
  expect(deadlines.due(30)).toBeUndefined();
});

test('what is forgotten leaves nothing behind', () => {
  const deadlines = new Deadlines();
  for (let i = 0; i < 1_000; i++) {
    deadlines.set('job', `job${i}`, 1_000_000 - i);
    deadlines.forget('job', `job${i}`);
  }
  deadlines.forget('job', 'unknown');
  expect(deadlines.size).toBe(0);
});
