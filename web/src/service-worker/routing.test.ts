import { describe, expect, it } from 'vitest';
import { routeRequest } from './routing.ts';

const route = (path: string, facts: Partial<Parameters<typeof routeRequest>[0]> = {}) =>
  routeRequest({ path, method: 'GET', mode: 'cors', destination: '', ...facts });
const navigate = (path: string, method = 'GET') =>
  route(path, { method, mode: 'navigate', destination: 'document' });

describe('a document', () => {
  it.each([
    ['/', 200],
    ['/contribute', 200],
    ['/nowhere', 404],
  ])('%s is the page of the release, with status %d', (path, status) => {
    expect(navigate(path)).toEqual({ kind: 'page', file: 'index.html', status });
  });

  it.each(['/v1/models', '/openapi.json', '/metrics', '/evil.html', '/assets/a.js'])(
    '%s is not the site’s',
    (path) => expect(navigate(path)).toEqual({ kind: 'foreign-document' }),
  );

  it('that answers a form is not the site’s', () => {
    expect(navigate('/', 'POST')).toEqual({ kind: 'foreign-document' });
  });
});

describe('the API and models', () => {
  it.each(['/v1/chat/completions', '/v1/network', '/models/tiny/tokenizer.json', '/healthz'])(
    '%s is left to the network',
    (path) => expect(route(path)).toEqual({ kind: 'network' }),
  );

  it('is whatever is not read', () => {
    expect(route('/anything', { method: 'POST' })).toEqual({ kind: 'network' });
  });
});

describe('a file', () => {
  it.each(['script', 'worker', 'sharedworker', 'style', 'image', 'font', 'iframe'])(
    'that becomes a %s comes from a release or not at all',
    (destination) => expect(route('/x', { destination })).toEqual({ kind: 'file', file: 'x', only: true }),
  );

  it('among the assets comes from a release or not at all, however it is fetched', () => {
    expect(route('/assets/a.wasm')).toEqual({ kind: 'file', file: 'assets/a.wasm', only: true });
  });

  it('that a script reads elsewhere may be the server’s', () => {
    expect(route('/release.json')).toEqual({ kind: 'file', file: 'release.json', only: false });
  });
});
