import { describe, expect, it } from 'vitest';
import { routeOf, staysHere } from './routes.ts';

describe('routeOf', () => {
  it.each([
    ['/', 'chat'],
    ['/contribute', 'contribute'],
    ['/contribute/', 'contribute'],
    ['//', 'chat'],
    ['/verify', 'verify'],
    ['/nothing', 'not-found'],
    ['/constructor', 'not-found'],
    ['/__proto__', 'not-found'],
  ])('%s is %s', (path, route) => {
    expect(routeOf(path)).toBe(route);
  });
});

describe('staysHere', () => {
  const plain = { button: 0, modified: false, prevented: false, target: '', download: false };
  it('takes a plain click on a page of the site', () => {
    expect(staysHere(plain, '/contribute')).toBe(true);
  });
  it.each([
    ['a middle click', { ...plain, button: 1 }, '/'],
    ['a click with a modifier', { ...plain, modified: true }, '/'],
    ['a handled click', { ...plain, prevented: true }, '/'],
    ['a link to another tab', { ...plain, target: '_blank' }, '/'],
    ['a download', { ...plain, download: true }, '/'],
    ['a path that the coordinator serves', plain, '/openapi.json'],
  ])('leaves %s to the browser', (_, click, path) => {
    expect(staysHere(click, path)).toBe(false);
  });
});
