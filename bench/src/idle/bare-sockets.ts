/** The floor of the idle bench: a plain `ws` server that accepts sockets and does nothing with them. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { tellUsage } from './usage.ts';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', (socket) => socket.on('message', () => undefined));
server.on('listening', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
tellUsage();
process.on('disconnect', () => process.exit());
