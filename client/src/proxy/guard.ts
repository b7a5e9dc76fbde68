/**
 * Who may speak to the proxy: a program on this machine that knows the token. A page in a browser may not, whatever name its host has:
 * names can be made to point here (DNS rebinding), and forms can be sent anywhere.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { failure, type Failure } from '@tussah/protocol/errors';

export interface Guard {
  readonly port: number;
  readonly token: string;
}

/** Undefined when the request may pass. */
export function objectionTo(headers: IncomingHttpHeaders, { port, token }: Guard): Failure | undefined {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`];
  if (!hosts.includes(headers.host?.toLowerCase() ?? ''))
    return {
      ...failure('forbidden', 'This proxy answers by the names of this machine only.'),
      remedy: `Use http://127.0.0.1:${port}/v1.`,
    };
  if (headers.origin !== undefined)
    return {
      ...failure('forbidden', 'This proxy does not answer web pages.'),
      remedy: 'Ask from a program, or use the client library in the page itself.',
    };
  const given = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (given === undefined || !same(given, token))
    return {
      ...failure('invalid_api_key', "The API key is not this proxy's token."),
      remedy: 'Use the token that the proxy prints when it starts, as the API key.',
    };
  return undefined;
}

/** In a time that does not depend on where they differ, nor on their lengths. */
function same(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
