/** What the coordinator says of the network, renewed while somebody looks. */
import type { Failure } from '@tussah/protocol/errors';
import { ModelListSchema, NetworkSchema, type ModelObject, type Network } from '@tussah/protocol/network';
import { readJson } from './read-json.ts';

const everyMs = 15_000;
const afterFailureMs = 5000;

class NetworkState {
  /** The newest figures; they stay when the coordinator is lost, and show their age. */
  network: Network | null = $state.raw(null);
  /** Null until they were read once. */
  models: readonly ModelObject[] | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  receivedAtMs: number = $state(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading = false;

  model(id: string): ModelObject | undefined {
    return this.models?.find((model) => model.id === id);
  }

  /** Starts reading; returns how to stop. */
  start(): () => void {
    const onVisible = () => {
      if (!document.hidden && Date.now() - this.receivedAtMs > afterFailureMs) void this.read();
    };
    document.addEventListener('visibilitychange', onVisible);
    void this.read();
    return () => {
      clearTimeout(this.#timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }

  async read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    clearTimeout(this.#timer);
    const send = (url: string, init: RequestInit) => fetch(url, init);
    const [network, models] = await Promise.all([
      readJson('/v1/network', NetworkSchema, send),
      readJson('/v1/models', ModelListSchema, send),
    ]);
    this.#reading = false;
    if (network.ok) this.network = network.value;
    if (models.ok) this.models = models.value.data;
    this.failure = network.ok ? (models.ok ? null : models.failure) : network.failure;
    if (this.failure === null) this.receivedAtMs = Date.now();
    this.#timer = setTimeout(
      () => {
        if (!document.hidden) void this.read();
      },
      this.failure === null ? everyMs : afterFailureMs,
    );
  }
}

export const networkState = new NetworkState();
