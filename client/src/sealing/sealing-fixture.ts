/** Jobs for tests of sealing: up to three machines with keys of their own, and a request sealed to them. */
import { sha256Hex } from '@tussah/protocol/bytes';
import { newId } from '@tussah/protocol/ids';
import { type SealedHeader, type SuiteName } from '@tussah/protocol/private/header';
import type { ChunkPayload, InnerRequest } from '@tussah/protocol/private/inner-request';
import { openRequest, type Opening } from './open-request.ts';
import { chunkPlaintextBytes, payloadBytes } from './padding.ts';
import type { ResponseSealer, SealedChunk } from './response.ts';
import { sealRequest, type Sealed } from './seal-request.ts';
import { newNodeKeys, type NodeKeys } from './suites.ts';

export const innerOf = (content: string, jobId = `job_${'0'.repeat(24)}`): InnerRequest => ({
  version: 1,
  jobId,
  model: 'tiny',
  maxTokens: 64,
  messages: [{ role: 'user', content }],
  sampling: { temperature: 0.7, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
  stop: ['\n\n'],
  seed: 7,
  continuation: null,
});

export interface TestNode {
  readonly keys: NodeKeys;
  readonly bundle: string;
}

export const bundleName = ({ bundle }: TestNode): string => sha256Hex(bundle);

export async function newTestNode(suite: SuiteName): Promise<TestNode> {
  const keys = await newNodeKeys(suite);
  return { keys, bundle: JSON.stringify({ about: 'a bundle', publicKey: keys.publicKey }) };
}

export interface TestJob {
  readonly header: SealedHeader;
  readonly inner: InnerRequest;
  readonly nodes: readonly TestNode[];
  readonly sealed: Sealed;
}

export async function newTestJob(
  suite: SuiteName,
  { nodes = 3, content = 'What is a tussah?' }: { readonly nodes?: number; readonly content?: string } = {},
): Promise<TestJob> {
  const machines = await Promise.all(Array.from({ length: nodes }, () => newTestNode(suite)));
  const jobId = newId('job');
  const header: SealedHeader = {
    version: 1,
    suite,
    jobId,
    model: 'tiny',
    modelDigest: '12'.repeat(32),
    maxPromptTokens: 512,
    maxTokens: 64,
    maxPriceNano: '1000000',
    padding: 'paced',
    notAfterMs: 1_800_000_000_000,
    candidates: machines.map(bundleName),
  };
  const inner = innerOf(content, jobId);
  const recipients = machines.map(({ bundle, keys }) => ({ bundle, hpkePublicKey: keys.publicKey }));
  return { header, inner, nodes: machines, sealed: await sealRequest({ header, inner, recipients }) };
}

/** What the coordinator gives to a candidate. */
export function openingOf({ sealed, nodes }: TestJob, candidate = 0): Opening {
  const { header, wraps, body } = sealed.request;
  const node = nodes[candidate];
  const wrap = wraps[candidate];
  if (node === undefined || wrap === undefined) throw new Error(`there is no candidate ${candidate}`);
  return { header, candidate, wrap, body, keys: node.keys, bundle: bundleName(node) };
}

/** Opens as a candidate, or fails the test. */
export async function sealerOf(
  job: TestJob,
  candidate: number,
  responseNonce: string,
): Promise<ResponseSealer> {
  const opened = await openRequest(openingOf(job, candidate));
  if (!opened.ok) throw new Error(opened.failure.code);
  return opened.value.sealer(responseNonce);
}

export type Chunk = SealedChunk & { readonly last: boolean };

/** An answer of these payloads, paced, the last marked. */
export async function chunksOf(sealer: ResponseSealer, payloads: readonly ChunkPayload[]): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (const [i, payload] of payloads.entries()) {
    const last = i === payloads.length - 1;
    const size = chunkPlaintextBytes('paced', payloadBytes(payload));
    chunks.push({ ...(await sealer.seal(payload, size, last)), last });
  }
  return chunks;
}
