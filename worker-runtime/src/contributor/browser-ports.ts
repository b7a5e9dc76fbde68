/** The browser's own socket and clock, as the contributor wants them; Node 24 has the same globals. */
import type { Clock, SessionSocket, SocketHandlers } from './ports.ts';

/** Bytes of a close reason (RFC 6455 section 5.5: 125 less the code). */
const REASON_BYTES = 123;

export function openWebSocket(url: string, handlers: SocketHandlers): SessionSocket {
  const socket = new WebSocket(url);
  let opened = false;
  socket.addEventListener('open', () => {
    opened = true;
    handlers.onOpen();
  });
  socket.addEventListener('message', (event: MessageEvent<unknown>) => handlers.onMessage(event.data));
  socket.addEventListener('close', ({ code, reason }) =>
    handlers.onClose(
      code === 1006 || code === 1005
        ? opened
          ? 'The connection to the coordinator was lost.'
          : 'The coordinator can’t be reached.'
        : `The coordinator closed the connection (${code}${reason === '' ? '' : `: ${reason}`}).`,
    ),
  );
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close(code, reason) {
      // Only ASCII goes in, so that units are bytes.
      socket.close(code, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, REASON_BYTES));
    },
  };
}

export const browserClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
