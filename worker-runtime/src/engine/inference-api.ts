/** What the inference worker offers its page: one narrow object behind Comlink. Streams run over ports, see event-channel.ts. */
import type { EngineName } from '@tussah/protocol/engine-profile';
import type { Failure, Result } from '@tussah/protocol/errors';
import type { AnswerJob } from './answer-port.ts';
import type { FakeOptions } from './fake-engine.ts';
import type { EngineBuild, EngineErrorCode, GenerateJob } from './port.ts';

export interface EngineChoice {
  readonly engine: EngineName;
  /** Only for the fake. */
  readonly fake?: FakeOptions;
}

export interface InferenceApi {
  /** Once, before anything else. Null, or why the engine can't be made. */
  open(choice: EngineChoice): Promise<Failure<EngineErrorCode> | null>;
  /** Serves `LoadProgress` on the port until the build is loaded. */
  load(build: EngineBuild, port: MessagePort): void;
  /** Serves `EngineEvent` on the port. */
  generate(job: GenerateJob, port: MessagePort): void;
  /** Serves `AnswerEvent` on the port. */
  answer(job: AnswerJob, port: MessagePort): void;
  promptOf(text: string): Promise<Result<GenerateJob['prompt'], EngineErrorCode>>;
  unload(): Promise<Failure<EngineErrorCode> | null>;
  /** Resolves when the engine is lost. */
  lost(): Promise<{ readonly reason: string }>;
}
