/** Sends bytes to an HTTP server and reads all answers until it closes; no client library would send these. */
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface Exchange {
  readonly answers: readonly RawAnswer[];
  /** What came after the last answer that could be read. */
  readonly rest: string;
  /** `late`: the server had not closed when time was up. */
  readonly end: 'closed' | 'late' | 'aborted';
}

/** What to send: bytes, or a pause. `abort` cuts the connection after the last part. */
export interface Sending {
  readonly parts: readonly (Buffer | number)[];
  readonly abort?: boolean;
  /** The methods asked, since an answer to HEAD has no body. */
  readonly head?: boolean;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function exchange(url: string, sending: Sending, withinMs: number): Promise<Exchange> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  const received: Buffer[] = [];
  socket.on('data', (data: Buffer) => received.push(data));
  // A reset after a refusal is a way to close.
  socket.on('error', () => undefined);
  const closed = new Promise<'closed'>((resolve) => socket.once('close', () => resolve('closed')));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), withinMs)));
  for (const part of sending.parts) {
    if (typeof part === 'number') await pause(part);
    else if (socket.writable) socket.write(part);
  }
  if (sending.abort === true) {
    await pause(1);
    socket.resetAndDestroy();
  }
  const end = await Promise.race([closed, late]);
  clearTimeout(timer);
  socket.destroy();
  const { answers, rest } = answersIn(Buffer.concat(received), sending.head ?? false);
  return { answers, rest, end: sending.abort === true ? 'aborted' : end };
}

/** Splits a connection's bytes into answers (RFC 9112 section 6.3). */
function answersIn(bytes: Buffer, head: boolean): { answers: RawAnswer[]; rest: string } {
  const answers: RawAnswer[] = [];
  let at = 0;
  for (;;) {
    const border = bytes.indexOf('\r\n\r\n', at);
    if (border < 0) break;
    const [first = '', ...lines] = bytes.subarray(at, border).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? NaN);
    if (Number.isNaN(status)) break;
    const headers = new Map(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const start = border + 4;
    const read =
      head || status < 200 || status === 204 || status === 304 ? empty(start) : bodyAt(bytes, start, headers);
    if (read === undefined) break;
    answers.push({ status, headers, body: read.body });
    at = read.end;
  }
  return { answers, rest: bytes.subarray(at).toString('latin1') };
}

const empty = (end: number) => ({ body: '', end });

function bodyAt(
  bytes: Buffer,
  start: number,
  headers: ReadonlyMap<string, string>,
): { body: string; end: number } | undefined {
  const length = headers.get('content-length');
  if (length !== undefined) {
    const end = start + Number(length);
    return end <= bytes.length ? { body: bytes.toString('utf8', start, end), end } : undefined;
  }
  // Without a length it ends with the connection.
  if (headers.get('transfer-encoding') !== 'chunked')
    return { body: bytes.toString('utf8', start), end: bytes.length };
  const parts: Buffer[] = [];
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (!(size >= 0) || line + size + 4 > bytes.length) return undefined;
    if (size === 0) return { body: Buffer.concat(parts).toString('utf8'), end: line + 4 };
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 4 + size;
  }
}
