/**
 * A WebSocket client made of bytes (RFC 6455), so that it can send what no library would: wrong opcodes, lengths, masks and
 * fragments. What the server sends is read strictly.
 */
import { connect, type Socket } from 'node:net';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface FrameShape {
  readonly fin?: boolean;
  readonly reserved?: number;
  readonly masked?: boolean;
  /** The length said, when it isn't the payload's own. */
  readonly length?: bigint;
  /** Bytes of the length field, when not the fewest. */
  readonly lengthBytes?: 0 | 2 | 8;
}

const MASK = Buffer.from([0x5a, 0x13, 0x9e, 0x77]);

/** One frame as bytes (RFC 6455 section 5.2). */
export function frameOf(opcode: number, payload: Buffer | string, shape: FrameShape = {}): Buffer {
  const data = Buffer.from(payload as string);
  const length = shape.length ?? BigInt(data.length);
  const lengthBytes = shape.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = ((shape.fin ?? true) ? 0x80 : 0) | ((shape.reserved ?? 0) << 4) | opcode;
  const masked = shape.masked ?? true;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? Number(length) & 0x7f : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(Number(length & 0xffffn), 2);
  else if (lengthBytes === 8) head.writeBigUInt64BE(length, 2);
  if (!masked) return Buffer.concat([head, data]);
  return Buffer.concat([head, MASK, data.map((byte, i) => byte ^ (MASK[i & 3] ?? 0))]);
}

export class RawWebSocket {
  /** Texts received, in order. */
  readonly texts: string[] = [];
  /** Code of the close frame received; 1005 when it had none. */
  closeCode: number | undefined;
  /** A breach of RFC 6455 by the server. */
  fault: string | undefined;
  closed = false;
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #wake: () => void = () => undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    socket.on('data', (data: Buffer) => this.#take(data));
    socket.write(
      'GET /worker HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
        'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
  }

  send(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  text(text: string): void {
    this.send(frameOf(opcodes.text, text));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Waits until something holds, or the socket is closed, or time is up; returns whether it holds. */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (!holds() && !this.closed) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return holds();
  }

  #take(data: Buffer): void {
    this.#unread = this.#unread.length === 0 ? data : Buffer.concat([this.#unread, data]);
    if (!this.#upgraded) {
      const border = this.#unread.indexOf('\r\n\r\n');
      if (border < 0) return;
      const status = this.#unread.toString('latin1', 0, border).split('\r\n')[0] ?? '';
      if (!status.startsWith('HTTP/1.1 101 ')) this.fault = `no upgrade: ${status}`;
      this.#unread = this.#unread.subarray(border + 4);
      this.#upgraded = true;
    }
    while (this.fault === undefined && this.#readFrame());
    this.#wake();
  }

  /** Reads one frame; false when it isn't there whole. */
  #readFrame(): boolean {
    const bytes = this.#unread;
    const [first = 0, second = 0] = bytes;
    if (bytes.length < 2) return false;
    const short = second & 0x7f;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < start) return false;
    const length =
      short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < start + length) return false;
    const payload = bytes.subarray(start, start + length);
    this.#unread = bytes.subarray(start + length);
    const opcode = first & 0x0f;
    if ((first & 0xf0) !== 0x80 || (second & 0x80) !== 0) this.fault = 'a fragment, a reserved bit or a mask';
    else if (this.closeCode !== undefined) this.fault = 'a frame after the close';
    else if (opcode === opcodes.text) this.texts.push(payload.toString());
    else if (opcode === opcodes.close) this.closeCode = length >= 2 ? payload.readUInt16BE(0) : 1005;
    else if (opcode !== opcodes.pong && opcode !== opcodes.ping) this.fault = `opcode ${opcode}`;
    return true;
  }
}
