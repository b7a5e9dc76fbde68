/** A coordinator with a private tier under simulated evidence, nodes for it, and a client that seals; for tests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  newSimulatedWorld,
  simulatedPolicy,
  type SimulatedWorld,
} from '@tussah/attestation/simulated/bundle';
import type { Policy } from '@tussah/attestation/policy/policy';
import { sealRequest, type Sealed } from '@tussah/client/sealing/seal-request';
import { newId } from '@tussah/protocol/ids';
import type { SealedHeader, SealedRequest } from '@tussah/protocol/private/header';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { SealedEvent, Skip } from '@tussah/protocol/private/sealed-events';
import { onTestFinished } from 'vitest';
import { startNetwork, temporaryFolder, type NetworkOptions, type TestNetwork } from '../testing/harness.ts';
import {
  MODEL_DIGEST,
  NODE_MODEL,
  ScriptedNode,
  type NodeScript,
  type ScriptedNodeOptions,
} from './scripted-node.ts';

let made: Promise<SimulatedWorld> | undefined;
/** One for all tests of a file: making its certificates takes a while. */
export const simulatedWorld = (): Promise<SimulatedWorld> => (made ??= newSimulatedWorld(Date.now()));

export interface PrivateNetworkOptions extends NetworkOptions {
  readonly policy?: (policy: Policy) => Policy;
}

export class PrivateNetwork {
  readonly network: TestNetwork;
  readonly world: SimulatedWorld;

  constructor(network: TestNetwork, world: SimulatedWorld) {
    this.network = network;
    this.world = world;
  }

  get url(): string {
    return this.network.url;
  }

  /** A node that is not awaited. */
  async connect(script: NodeScript, options: Partial<ScriptedNodeOptions> = {}): Promise<ScriptedNode> {
    const { url, world } = this;
    const node = await ScriptedNode.connect({ url, world, script, ...options });
    onTestFinished(() => node.vanish());
    return node;
  }

  /** A node that is in the directory. */
  async node(script: NodeScript, options: Partial<ScriptedNodeOptions> = {}): Promise<ScriptedNode> {
    const node = await this.connect(script, options);
    await node.frame('attested');
    return node;
  }

  post(
    request: unknown,
    options: { readonly key?: string; readonly signal?: AbortSignal } = {},
  ): Promise<Response> {
    return fetch(`${this.url}/v1/sealed/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
      },
      body: JSON.stringify(request),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async ask(sealed: Sealed, options: { readonly key?: string } = {}): Promise<SealedAnswer> {
    return readAnswer(await this.post(sealed.request, options), sealed);
  }
}

/** Starts a coordinator whose policy accepts the simulated world; it closes when the test ends. */
export async function startPrivateNetwork(options: PrivateNetworkOptions = {}): Promise<PrivateNetwork> {
  const world = await simulatedWorld();
  const dataFolder = options.dataFolder ?? temporaryFolder();
  const policy = simulatedPolicy(world);
  const path = join(dataFolder, 'node-policy.json');
  writeFileSync(path, JSON.stringify(options.policy?.(policy) ?? policy));
  const flags = ['--node-policy', path, ...(options.flags ?? [])];
  return new PrivateNetwork(await startNetwork({ ...options, dataFolder, flags }), world);
}

/** A request sealed to the newest bundles of these nodes, in this order. */
export async function sealTo(
  nodes: readonly ScriptedNode[],
  content: string,
  change: Partial<SealedHeader> = {},
): Promise<Sealed> {
  const epochs = nodes.map(({ epoch }) => epoch);
  const header: SealedHeader = {
    version: 1,
    suite: epochs[0]?.keys.suite ?? 'x25519-hkdf-sha256-aes256gcm',
    jobId: newId('job'),
    model: NODE_MODEL,
    modelDigest: MODEL_DIGEST,
    maxPromptTokens: 100,
    maxTokens: 50,
    maxPriceNano: '1000000',
    padding: 'buckets',
    notAfterMs: Date.now() + 60_000,
    candidates: epochs.map(({ bundle }) => bundle),
    ...change,
  };
  const inner: InnerRequest = {
    version: 1,
    jobId: header.jobId,
    model: header.model,
    maxTokens: header.maxTokens,
    messages: [{ role: 'user', content }],
    sampling: { temperature: 0.7, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
    stop: [],
    seed: null,
    continuation: null,
  };
  const recipients = epochs.map(({ text, keys }) => ({ bundle: text, hpkePublicKey: keys.publicKey }));
  return sealRequest({ header, inner, recipients });
}

export interface SealedAnswer {
  readonly status: number;
  readonly text: string;
  readonly candidate: number | undefined;
  readonly skipped: readonly Skip[];
  /** Whether an authentic end has come. */
  readonly whole: boolean;
  readonly receipt: PrivateReceipt | undefined;
  readonly code: string | undefined;
  readonly done: boolean;
}

/** Opens what comes back; throws for a chunk that does not open. */
export async function readAnswer(
  response: Response,
  sealed: Pick<Sealed, 'responses'>,
): Promise<SealedAnswer> {
  const body = await response.text();
  const answer = {
    status: response.status,
    text: '',
    candidate: undefined as number | undefined,
    skipped: [] as readonly Skip[],
    whole: false,
    receipt: undefined as PrivateReceipt | undefined,
    code: undefined as string | undefined,
    done: false,
  };
  if (response.status !== 200)
    return { ...answer, code: (JSON.parse(body) as { error: { code: string } }).error.code };
  let opener: Awaited<ReturnType<Sealed['responses'][number]['open']>> | undefined;
  for (const part of body.split('\n\n').slice(0, -1)) {
    const data = part.replace(/^data: /, '');
    if (data === '[DONE]') {
      answer.done = true;
      continue;
    }
    const event = JSON.parse(data) as SealedEvent;
    if (event.type === 'assigned') {
      answer.candidate = event.candidate;
      answer.skipped = event.skipped;
      opener = await sealed.responses[event.candidate]?.open(event.responseNonce);
    } else if (event.type === 'chunk') {
      const opened = await opener?.open(event);
      if (opened?.ok !== true) throw new Error(opened?.failure.code ?? 'a chunk before assigned');
      answer.text += opened.value.text ?? '';
      answer.whole ||= opened.value.end !== undefined;
    } else if (event.type === 'receipt') answer.receipt = event.receipt;
    else {
      answer.code = event.error.code;
      answer.skipped = event.skipped;
    }
  }
  return answer;
}

/** Not sealed at all, but of the right shape: for what is refused before anybody opens it. */
export const withHeader = (sealed: Sealed, change: Partial<SealedHeader>): SealedRequest => ({
  ...sealed.request,
  header: { ...sealed.request.header, ...change },
});
