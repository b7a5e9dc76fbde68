/** What the bench's page does for the bench: one engine in a worker, alone or serving the network. */
import type { EngineName } from '@tussah/protocol/engine-profile';
import type { GenerateJob } from '@tussah/worker-runtime/engine/port';

export type BenchEngine = Exclude<EngineName, 'fake'>;
export const benchEngines: readonly BenchEngine[] = ['wllama', 'webllm'];
export const MODEL = 'tussah-tiny';

/** One answer. Times are milliseconds from the call, on the page's clock, which has steps of 0.1 ms. */
export interface Run {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly tokens: number;
  readonly text: string;
}

export interface BenchPage {
  /** Vendor and architecture of the WebGPU adapter that pages get; null when there is none. */
  adapter(): Promise<string | null>;
  /** Makes an engine and loads the bundled model into it; resolves with the milliseconds of both. */
  load(engine: BenchEngine): Promise<number>;
  /** Starts the contributor as the site does; resolves when it is ready for jobs. */
  contribute(engine: BenchEngine): Promise<void>;
  /** Asks the engine itself. Without a job: the one that came last through the network. */
  generate(job?: GenerateJob): Promise<Run>;
  /** Ends the contributor and the engine. */
  stop(): Promise<void>;
}

interface BenchGlobals {
  tussahBench?: BenchPage;
}
declare global {
  // An interface merges; this one adds to the browser's.
  interface Window extends BenchGlobals {}
}
