/** Waits until the network has somebody who serves a model, as anybody can see it from outside. */
import { NetworkSchema, type Network } from '@tussah/protocol/network';
import * as v from 'valibot';

const pollMs = 150;
const requestTimeoutMs = 5_000;

/** What `/v1/network` says, or undefined while it does not answer. */
export async function readNetwork(url: string, signal: AbortSignal): Promise<Network | undefined> {
  try {
    const response = await fetch(`${url}/v1/network`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    });
    const read = v.safeParse(NetworkSchema, await response.json());
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}

export const hasIdle = (network: Network | undefined, model: string): boolean =>
  network?.models.some((each) => each.id === model && each.idle > 0) ?? false;

/** Resolves with the network once the model has a free contributor; undefined when `signal` is aborted before. */
export async function waitForContributor(
  url: string,
  model: string,
  signal: AbortSignal,
): Promise<Network | undefined> {
  while (!signal.aborted) {
    const network = await readNetwork(url, signal);
    if (hasIdle(network, model)) return network;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return undefined;
}
