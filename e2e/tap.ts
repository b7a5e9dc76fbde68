/** A wire that can be listened to: TCP on loopback, passed on byte for byte, with all that went either way kept. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

interface Recorded {
  readonly sent: Buffer[];
  readonly received: Buffer[];
}

export class Tap {
  /** In place of that of the coordinator. */
  readonly url: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #connections: readonly Recorded[];

  private constructor(server: Server, sockets: Set<Socket>, connections: readonly Recorded[]) {
    const { port } = server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
    this.#server = server;
    this.#sockets = sockets;
    this.#connections = connections;
  }

  static async on(url: string): Promise<Tap> {
    const { hostname, port } = new URL(url);
    const connections: Recorded[] = [];
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(Number(port), hostname);
      const recorded: Recorded = { sent: [], received: [] };
      connections.push(recorded);
      near.on('data', (data: Buffer) => recorded.sent.push(data));
      far.on('data', (data: Buffer) => recorded.received.push(data));
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(socket);
        socket.pipe(other);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
      }
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return new Tap(server, sockets, connections);
  }

  /** What was said on each connection, as whoever reads it would see it. */
  heard(name: string): Map<string, Buffer> {
    return new Map(
      this.#connections.flatMap(({ sent, received }, i) => [
        [`${name} ${i}, to the coordinator`, unframed(Buffer.concat(sent))] as const,
        [`${name} ${i}, from the coordinator`, unframed(Buffer.concat(received))] as const,
      ]),
    );
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }
}

const upgraded = (bytes: Buffer): number =>
  /^(?:GET \/node |HTTP\/1.1 101 )/.test(bytes.toString('latin1', 0, 16))
    ? bytes.indexOf('\r\n\r\n') + 4
    : -1;

/** The payloads of WebSocket frames (RFC 6455 section 5.2), unmasked and put together; anything else stays as it is. */
function unframed(bytes: Buffer): Buffer {
  let at = upgraded(bytes);
  if (at < 0) return bytes;
  const parts = [bytes.subarray(0, at)];
  while (at + 2 <= bytes.length) {
    const second = bytes[at + 1] ?? 0;
    const short = second & 0x7f;
    const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (at + 2 + wide > bytes.length) break;
    const length =
      wide === 2 ? bytes.readUInt16BE(at + 2) : wide === 8 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const maskAt = at + 2 + wide;
    const isMasked = second >= 0x80;
    const from = maskAt + (isMasked ? 4 : 0);
    const payload = Buffer.from(bytes.subarray(from, from + length));
    if (isMasked)
      for (let i = 0; i < payload.length; i++)
        payload[i] = (payload[i] ?? 0) ^ (bytes[maskAt + (i % 4)] ?? 0);
    parts.push(payload);
    at = from + length;
  }
  return Buffer.concat(parts);
}
