/** Requests to the upstream over loopback: bounded in size and time, without redirects, proxies or cookies. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import type { LoopbackAddress } from './loopback.ts';

export type LocalFailureCode = 'upstream_unreachable' | 'upstream_malformed' | 'upstream_refused';

export interface LocalRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** Without a byte for so long, it has failed. */
  readonly silenceMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 2_048 });
const remedy = 'Look whether the upstream runs, and at its own log.';

/** The response with its body still to be read. Rejects when there is none. */
export function openLocal(
  { address, port }: LoopbackAddress,
  { method, path, body, signal, silenceMs }: LocalRequest,
): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers =
    text === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length };
  return new Promise((resolve, reject) => {
    const options = { host: address, port, method, path, headers, agent, timeout: silenceMs };
    const sent = request({ ...options, ...(signal === undefined ? {} : { signal }) }, resolve);
    sent.on('timeout', () => sent.destroy(new Error('silent')));
    sent.on('error', reject);
    sent.end(text);
  });
}

/** The whole body of a 2xx response as JSON. What it said otherwise is not passed on: it may quote a prompt. */
export async function localJson(
  to: LoopbackAddress,
  asked: LocalRequest,
  bytesMax = 1_048_576,
): Promise<Result<unknown, LocalFailureCode>> {
  try {
    const response = await openLocal(to, asked);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) {
      response.destroy();
      const code = status >= 400 && status < 500 ? 'upstream_refused' : 'upstream_malformed';
      return fail({ code, message: `The upstream answered ${asked.path} with HTTP ${status}.`, remedy });
    }
    const text = await readText(response, bytesMax);
    if (text !== undefined) return ok(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError))
      return fail({
        code: 'upstream_unreachable',
        message: `The upstream did not answer ${asked.path}.`,
        remedy,
      });
  }
  return fail({
    code: 'upstream_malformed',
    message: `The upstream’s answer to ${asked.path} is no JSON, or too much.`,
    remedy,
  });
}

/** Undefined when there is more than `bytesMax`. */
export async function readText(response: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > bytesMax) {
      response.destroy();
      return undefined;
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
