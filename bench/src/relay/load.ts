/** The same load for both servers: contributors that stream a fixed answer token by token, and clients that read it. */
import { request as httpRequest, Agent } from 'node:http';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hashOfIds } from '@tussah/protocol/bytes';
import {
  helloStatement,
  PROTOCOL,
  type ContributorFrame,
  type CoordinatorFrame,
} from '@tussah/protocol/contributor-frames';
import { segmentStatement } from '@tussah/protocol/receipts';
import { domains, newIdentity, sign } from '@tussah/protocol/signatures';
import { loadTokenizer } from '@tussah/models/tokenizer';
import { WebSocket } from 'ws';

export const MODEL = 'tussah-tiny';
export const BUILD = 'wllama-tussah-tiny-f32';
const ANSWER_TOKENS = 64;

const tokenizerFile = join(resolve(import.meta.dirname, '../../..'), 'models/tiny/tokenizer.json');
const loaded = loadTokenizer(JSON.parse(readFileSync(tokenizerFile, 'utf8')));
if (!loaded.ok) throw new Error(loaded.failure.message);
export const tokenizer = loaded.value;

/** 64 tokens whose encoding is their own, and each of which is whole text. */
export const answer = (() => {
  const words = 'red blue green river stone cloud apple tiger house window garden paper ';
  const ids = tokenizer.encode(words.repeat(8)).slice(0, ANSWER_TOKENS);
  return ids.map((id) => ({ id, text: tokenizer.decode([id]) }));
})();

export const requestBody = {
  model: MODEL,
  stream: true,
  messages: [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: 'Say the words red, blue, green, river and stone again and again.' },
  ],
};

/** A contributor for the bare relay: no handshake, no signature. */
export function bareContributor(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'));
  socket.on('message', (data) => {
    const { jobId } = JSON.parse((data as Buffer).toString()) as { jobId: string };
    const send = (frame: ContributorFrame) => socket.send(JSON.stringify(frame));
    void stream(jobId, send).then(() => socket.send(JSON.stringify({ type: 'job-done', jobId })));
  });
  return new Promise((done, failed) => {
    socket.on('open', () => done(socket));
    socket.on('error', failed);
  });
}

/**
 * One token a frame. `full`: a frame of each running answer in turn, as fast as they are taken. `paced`: as fast as a
 * contributor of 160 tokens a second, which leaves the servers idle for most of the time.
 */
export const load: { rhythm: 'full' | 'paced' } = { rhythm: 'full' };
const PACED_TOKENS = 4;
const PACED_MS = 25;

async function stream(jobId: string, send: (frame: ContributorFrame) => void): Promise<void> {
  for (const [position, { id, text }] of answer.entries()) {
    if (load.rhythm === 'full') await new Promise((done) => setImmediate(done));
    else if (position > 0 && position % PACED_TOKENS === 0)
      await new Promise((done) => setTimeout(done, PACED_MS));
    send({ type: 'text-delta', jobId, position, ids: [id], text });
  }
}

/**
 * A contributor for the coordinator: proves its key, announces the build, signs its segments. `say` sends the answer's
 * `text-delta` frames; by default one a token.
 */
export async function realContributor(
  url: string,
  say: (jobId: string, send: (frame: ContributorFrame) => void) => Promise<void> = stream,
): Promise<WebSocket> {
  const identity = await newIdentity();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/worker`);
  const send = (frame: ContributorFrame) => socket.send(JSON.stringify(frame));
  const ids = answer.map(({ id }) => id);
  const take = async (frame: CoordinatorFrame, ready: () => void): Promise<void> => {
    if (frame.type === 'challenge') {
      const statement = helloStatement(frame.coordinator, frame.nonce, identity.publicKey, null);
      const signature = await sign(identity, domains.hello, statement);
      const { publicKey } = identity;
      send({
        type: 'hello',
        protocol: PROTOCOL,
        publicKey,
        signature,
        wallet: null,
        agent: 'bench',
        resume: null,
      });
    } else if (frame.type === 'welcome') {
      const profile = {
        engine: 'wllama',
        version: 'bench',
        prefix: 'text',
        seedBlock: 16,
        replay: 'bit-exact',
      } as const;
      send({ type: 'model-ready', model: MODEL, build: BUILD, profile, tokensPerSecond: 50, ask: null });
      ready();
    } else if (frame.type === 'ping') send({ type: 'pong', n: frame.n });
    else if (frame.type === 'job-offer') {
      const { jobId } = frame;
      send({ type: 'job-accept', jobId });
      await say(jobId, send);
      const facts = {
        jobId,
        contributor: identity.publicKey,
        model: MODEL,
        build: BUILD,
        seedRoot: frame.seedRoot,
        promptHash: hashOfIds(frame.prompt.ids),
        firstPosition: 0,
        tokens: ids.length,
        idsHash: hashOfIds(ids),
        end: 'stop',
      } as const;
      const signature = await sign(identity, domains.segment, segmentStatement(facts));
      send({
        type: 'job-done',
        jobId,
        finishReason: 'stop',
        tokens: ids.length,
        idsHash: facts.idsHash,
        signature,
      });
    }
  };
  await new Promise<void>((done, failed) => {
    socket.on('error', failed);
    socket.on('close', (code) => failed(new Error(`the coordinator closed a contributor: ${code}`)));
    socket.on('message', (data) => {
      take(JSON.parse((data as Buffer).toString()) as CoordinatorFrame, done).catch(failed);
    });
  });
  return socket;
}

const bodyText = JSON.stringify(requestBody);

/** One chat read to its end; resolves with its text. */
function ask(agent: Agent, url: string, key: string | undefined): Promise<string> {
  return new Promise((done, failed) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(bodyText),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
    const request = httpRequest(
      `${url}/v1/chat/completions`,
      { method: 'POST', agent, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('error', failed);
        response.on('end', () => {
          if (!text.endsWith('data: [DONE]\n\n')) failed(new Error(`no whole answer: ${text.slice(-300)}`));
          else done(textOf(text));
        });
      },
    );
    request.on('error', failed);
    request.end(bodyText);
  });
}

const wholeText = answer.map(({ text }) => text).join('');

/** The content of all chunks; a cheap reading, for the load must not cost more than what it measures. */
const textOf = (events: string): string =>
  [...events.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join('');

/** Asks `jobs` times, `clients` at once. */
export async function askMany(
  url: string,
  key: string | undefined,
  jobs: number,
  clients: number,
): Promise<void> {
  // Connections of this round alone: a server closes those that have been idle for some seconds.
  const agent = new Agent({ keepAlive: true });
  let left = jobs;
  const client = async () => {
    while (left-- > 0) {
      const text = await ask(agent, url, key);
      if (text !== wholeText) throw new Error(`not the answer that was sent: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
}

export const tokensPerJob = ANSWER_TOKENS;
