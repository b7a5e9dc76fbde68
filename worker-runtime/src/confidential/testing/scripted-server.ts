/** An HTTP server on loopback that a test writes for. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LoopbackAddress } from '../upstream/loopback.ts';

export interface ScriptedServer {
  readonly to: LoopbackAddress;
  /** `METHOD path` and decoded body of each request. */
  readonly asked: { readonly what: string; readonly body: unknown }[];
  close(): Promise<void>;
}

/** What is answered to `METHOD path`: a value as JSON, or a function that answers by itself. */
export type Script = Readonly<
  Record<string, object | ((response: ServerResponse, request: IncomingMessage) => void)>
>;

export async function scriptedServer(script: Script, wantedPort = 0): Promise<ScriptedServer> {
  const asked: ScriptedServer['asked'] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString('utf8');
    const what = `${request.method} ${request.url}`;
    asked.push({ what, body: text === '' ? undefined : JSON.parse(text) });
    const answer = script[what];
    if (answer === undefined) response.writeHead(404).end('{}');
    else if (typeof answer === 'function') answer(response, request);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  };
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(wantedPort, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    to: { address: '127.0.0.1', port },
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
