/**
 * Nodes and clients of the sealed path, as light as can be: the coordinator can't tell chunks from random bytes, so that none are
 * sealed. Signatures are real, for it checks them.
 */
import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import type { SimulatedWorld } from '@tussah/attestation/simulated/bundle';
import {
  MODEL_DIGEST,
  NODE_MODEL,
  ScriptedNode,
  type NodeJob,
} from '@tussah/coordinator/shell/private/scripted-node';
import { newId } from '@tussah/protocol/ids';
import type { SealedRequest } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { tokensPerJob } from '../relay/load.ts';
import type { Rhythm } from './rhythm.ts';

const TAG_BYTES = 16;
/** Of an encapsulated key of X25519, and of a wrapped body key. */
const ENC_BYTES = 32;
const WRAPPED_BYTES = 48;

export const rhythmNow: { of: Rhythm | undefined } = { of: undefined };

/** A node that is in the directory. Its concurrency lets it send as fast as it can. */
export async function sealedNode(url: string, world: SimulatedWorld): Promise<ScriptedNode> {
  const offer = { concurrency: privateLimits.concurrencyMax };
  const node = await ScriptedNode.connect({ url, world, script: say, offer });
  await node.frame('attested');
  return node;
}

async function say(job: NodeJob): Promise<void> {
  const { node, jobId } = job;
  const rhythm = rhythmNow.of;
  if (rhythm === undefined) throw new Error('no rhythm');
  const { chunks, plaintextBytes, chunk } = rhythm;
  const data = randomBytes(plaintextBytes + TAG_BYTES).toString('base64');
  node.send({ type: 'sealed-accept', jobId, responseNonce: randomBytes(32).toString('hex') });
  for (let index = 0; index < chunks; index++) {
    await chunk(index);
    node.send({ type: 'sealed-delta', jobId, index, data, last: index === chunks - 1 });
  }
  await job.finish({ completionTokens: tokensPerJob, chunks });
  // What a test keeps, a bench must not.
  node.offers.length = 0;
  node.frames.length = 0;
}

const random = (bytes: number): string => randomBytes(bytes).toString('base64');

function requestFor(nodes: readonly ScriptedNode[]): SealedRequest {
  return {
    header: {
      version: 1,
      suite: 'x25519-hkdf-sha256-aes256gcm',
      jobId: newId('job'),
      model: NODE_MODEL,
      modelDigest: MODEL_DIGEST,
      maxPromptTokens: privateLimits.innerBytesMin,
      maxTokens: 2 * tokensPerJob,
      maxPriceNano: '1000000',
      padding: 'paced',
      notAfterMs: Date.now() + 60_000,
      candidates: nodes.map(({ epoch }) => epoch.bundle),
    },
    wraps: nodes.map(() => ({ enc: random(ENC_BYTES), wrapped: random(WRAPPED_BYTES) })),
    body: random(privateLimits.innerBytesMin + TAG_BYTES),
  };
}

function ask(agent: Agent, url: string, key: string, nodes: readonly ScriptedNode[]): Promise<string> {
  const body = JSON.stringify(requestFor(nodes));
  return new Promise((done, failed) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      authorization: `Bearer ${key}`,
    };
    const to = `${url}/v1/sealed/chat/completions`;
    const request = httpRequest(to, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('error', failed);
      response.on('end', () => done(text));
    });
    request.on('error', failed);
    request.end(body);
  });
}

/** Asks `jobs` times, `clients` at once, each time three nodes of which the first is idle. */
export async function askSealed(
  url: string,
  key: string,
  all: readonly ScriptedNode[],
  jobs: number,
  clients: number,
): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const idle = [...all, ...all];
  let left = jobs;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const first = idle.shift();
      if (first === undefined) throw new Error('more clients than nodes');
      const others = all.filter((node) => node !== first).slice(0, privateLimits.candidates - 1);
      const text = await ask(agent, url, key, [first, ...others]);
      const chunks = text.split('"type":"chunk"').length - 1;
      if (chunks !== rhythmNow.of?.chunks || !text.endsWith('data: [DONE]\n\n'))
        throw new Error(`not the answer that was sent: ${text.slice(-300)}`);
      idle.push(first);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
}
