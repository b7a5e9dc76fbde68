/** Sentences and remedies of `EngineError`s, and the way from anything thrown to one of them. */
import type { Failure } from '@tussah/protocol/errors';
import { EngineError, type EngineErrorCode } from './port.ts';

const kinds: Record<EngineErrorCode, { readonly message: string; readonly remedy: string }> = {
  download_failed: {
    message: 'A file of the model could not be downloaded.',
    remedy: 'Check the connection and try again.',
  },
  file_corrupt: {
    message: 'A file of the model is not the one promised.',
    remedy: 'Try again; if it repeats, the host serves other bytes: choose another model.',
  },
  storage_full: {
    message: 'The browser has no room left for the model.',
    remedy: 'Free disk space or choose a smaller model.',
  },
  out_of_memory: {
    message: 'The model does not fit into memory.',
    remedy: 'Close other tabs or choose a smaller model.',
  },
  webgpu_unavailable: {
    message: 'This browser offers no WebGPU adapter.',
    remedy: 'Use a browser with WebGPU switched on, or the CPU engine.',
  },
  feature_missing: {
    message: 'The device or browser lacks a feature that this build needs.',
    remedy: 'Choose another build of the model, or another browser.',
  },
  device_lost: {
    message: 'The GPU device was lost.',
    remedy: 'Start the engine again; choose a smaller model if it repeats.',
  },
  prompt_too_long: {
    message: 'The prompt does not fit the context of the model.',
    remedy: 'Shorten the messages, or choose a model with a longer context.',
  },
  prefix_diverged: {
    message: 'This engine does not reproduce what was delivered before.',
    remedy: 'Give the job to a contributor with the same build and engine.',
  },
  engine_busy: {
    message: 'The engine is at work on another job.',
    remedy: 'Wait for the running job, or abort it.',
  },
  engine_failed: { message: 'The engine failed.', remedy: 'Start the engine again.' },
  not_loaded: { message: 'No model is loaded.', remedy: 'Load a build first.' },
  aborted: {
    message: 'The work was aborted.',
    remedy: 'Nothing is wrong; begin again if it is still wanted.',
  },
};

/** `detail` replaces the general sentence; it must not contain a prompt or an answer. */
export function engineError(code: EngineErrorCode, detail?: string, cause?: unknown): EngineError {
  const { message, remedy } = kinds[code];
  return new EngineError({ code, message: detail ?? message, remedy }, { cause });
}

/** Anything thrown as an `EngineError`; what is not one yet becomes `fallback`. */
export function toEngineError(thrown: unknown, fallback: EngineErrorCode = 'engine_failed'): EngineError {
  if (thrown instanceof EngineError) return thrown;
  if (thrown instanceof Error && thrown.name === 'AbortError')
    return engineError('aborted', undefined, thrown);
  if (looksLikeNoMemory(thrown)) return engineError('out_of_memory', undefined, thrown);
  return engineError(fallback, `${kinds[fallback].message} ${reasonOf(thrown)}`.trim(), thrown);
}

/** An error that came over a worker's boundary; a code from elsewhere counts as `engine_failed`. */
export function fromFailure(failure: Failure): EngineError {
  const code = Object.hasOwn(kinds, failure.code) ? (failure.code as EngineErrorCode) : 'engine_failed';
  return new EngineError({ code, message: failure.message, remedy: failure.remedy });
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw engineError('aborted');
}

export const reasonOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 300);

/** Chromium, Firefox and emscripten each have their own words for it. */
const looksLikeNoMemory = (thrown: unknown): boolean =>
  thrown instanceof Error &&
  (/out of memory|could not allocate memory|array buffer allocation failed|cannot enlarge memory|\bOOM\b/i.test(
    thrown.message,
  ) ||
    thrown.name === 'DeviceLostError');
