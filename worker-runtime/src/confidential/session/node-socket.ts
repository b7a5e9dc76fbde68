/** The connection to the coordinator: the WebSocket that Node has built in. */
import type { NodeSocket, SocketHandlers } from '../ports.ts';

/** Bytes of a close reason (RFC 6455 section 5.5: 125 less the code). */
const REASON_BYTES = 123;
/** What may wait to be sent; above it the coordinator does not read any more. */
const BUFFERED_BYTES = 16_777_216;

/** `coordinatorUrl` is its origin, http or https. */
export function openNodeSocket(coordinatorUrl: string, handlers: SocketHandlers): NodeSocket {
  const url = new URL('/node', coordinatorUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url);
  let opened = false;
  socket.addEventListener('open', () => {
    opened = true;
    handlers.onOpen();
  });
  socket.addEventListener('message', (event: MessageEvent<unknown>) => handlers.onMessage(event.data));
  socket.addEventListener('close', ({ code, reason }) => {
    const lost = opened ? 'The connection was lost.' : 'The coordinator can’t be reached.';
    const said = `The coordinator closed the connection (${code}${reason === '' ? '' : `: ${reason}`}).`;
    handlers.onClose(code === 1005 || code === 1006 ? lost : said);
  });
  return {
    send(text) {
      if (socket.readyState !== WebSocket.OPEN) return true;
      if (socket.bufferedAmount > BUFFERED_BYTES) return false;
      socket.send(text);
      return true;
    },
    close(code, reason) {
      // Only ASCII goes in, so that units are bytes.
      socket.close(code, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, REASON_BYTES));
    },
  };
}
