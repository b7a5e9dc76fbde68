/** What a person chose on the Contribute page; kept in this tab, and given by the address for a headless contributor. */
import { catalogue, modelById, type Model } from '@tussah/models/catalogue';
import { readDevice, type ContributorDevice } from '@tussah/worker-runtime/contributor/choose-build';
import type { ContributeParameters, EngineChoice } from '@tussah/worker-runtime/contributor/host-bridge';
import type { ContributorSettings } from '@tussah/worker-runtime/contributor/snapshot';
import { readStored, writeStored } from '../app/storage.ts';
import { networkState } from '../network/network.svelte.ts';
import { adviseEngine, type EngineAdvice } from './engine-advice.ts';
import { readWallet } from './wallet-address.ts';

const keys = { model: 'tussah.contribute.model', wallet: 'tussah.contribute.wallet' } as const;

function keptModel(): string | undefined {
  return modelById(readStored(keys.model) ?? '')?.id;
}

class Choices {
  modelId: string = $state(keptModel() ?? catalogue[0]?.id ?? '');
  engine: EngineChoice = $state('auto');
  wallet: string = $state(readStored(keys.wallet) ?? '');
  /** Null while the browser is being asked. */
  device: ContributorDevice | null = $state.raw(null);

  /** What both this page and the coordinator know. */
  readonly models: readonly Model[] = $derived.by(() => {
    const offered = networkState.models;
    return offered === null
      ? catalogue
      : catalogue.filter((model) => offered.some((other) => other.id === model.id));
  });
  readonly model: Model | undefined = $derived(modelById(this.modelId));
  readonly advice: EngineAdvice | null = $derived(
    this.model === undefined || this.device === null
      ? null
      : adviseEngine(this.model.id, this.engine, this.device),
  );
  readonly walletProblem: string | null = $derived.by(() => {
    if (this.wallet.trim() === '') return null;
    const reading = readWallet(this.wallet);
    return reading.ok ? null : reading.reason;
  });
  readonly startable: boolean = $derived(this.advice?.build != null && this.walletProblem === null);

  async look(): Promise<void> {
    this.device ??= await readDevice();
  }

  /** Takes what the address says; whatever it leaves out stays as it is. */
  take({ model, engine, wallet }: ContributeParameters): void {
    if (model !== null) this.modelId = model;
    this.engine = engine;
    if (wallet !== null) this.wallet = wallet;
  }

  /** What to start with; keeps it for the next visit in this tab. */
  toStart(): ContributorSettings {
    writeStored(keys.model, this.modelId);
    writeStored(keys.wallet, this.wallet.trim() === '' ? null : this.wallet.trim());
    const reading = readWallet(this.wallet);
    return {
      coordinatorUrl: location.origin,
      model: this.modelId,
      engine: this.engine,
      wallet: reading.ok ? reading.address : null,
      ask: null,
    };
  }
}

export const choices = new Choices();
