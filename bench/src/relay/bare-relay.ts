/**
 * The floor of the relay bench: `ws` and `node:http`, and nothing else. It hands each request to an idle socket and turns
 * the socket's frames into server-sent events; it checks, counts, bills and signs nothing.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

interface Job {
  readonly id: string;
  readonly body: string;
  readonly response: ServerResponse;
}

const idle: WebSocket[] = [];
const waiting: Job[] = [];
const running = new Map<string, Job>();
let next = 0;

function dispatch(job: Job): void {
  const socket = idle.pop();
  if (socket === undefined) waiting.push(job);
  else {
    running.set(job.id, job);
    socket.send(
      JSON.stringify({ type: 'job-offer', jobId: job.id, request: JSON.parse(job.body) as unknown }),
    );
  }
}

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (part: string) => (body += part));
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    dispatch({ id: `job_${next++}`, body, response });
  });
});

new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  idle.push(socket);
  socket.on('message', (data) => {
    const frame = JSON.parse((data as Buffer).toString()) as { type: string; jobId: string; text: string };
    const job = running.get(frame.jobId);
    if (job === undefined) return;
    if (frame.type === 'text-delta') {
      const delta = `{"index":0,"delta":{"content":${JSON.stringify(frame.text)}},"finish_reason":null}`;
      job.response.write(
        `data: {"id":"${job.id}","object":"chat.completion.chunk","created":1,"model":"m","choices":[${delta}]}\n\n`,
      );
    } else if (frame.type === 'job-done') {
      job.response.end('data: [DONE]\n\n');
      running.delete(frame.jobId);
      idle.push(socket);
      const queued = waiting.shift();
      if (queued !== undefined) dispatch(queued);
    }
  });
});

server.listen(0, '127.0.0.1', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
process.on('disconnect', () => process.exit());
