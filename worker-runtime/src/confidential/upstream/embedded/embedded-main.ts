/**
 * The process of the embedded upstream: `embedded-main.ts <places> <version>`. It says on stdout where it
 * listens, and ends when its stdin does, so that it never outlives the node.
 */
import type { AddressInfo } from 'node:net';
import { loadEmbeddedModel } from './embedded-model.ts';
import { embeddedServer } from './embedded-server.ts';

const [places = '1', version = ''] = process.argv.slice(2);
process.stdin.on('close', () => process.exit()).resume();
// A Ctrl-C in the terminal is for the node, which lets its jobs end first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const server = embeddedServer(await loadEmbeddedModel(Number(places)), version);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ event: 'listening', port })}\n`);
});
