/**
 * The contract between the Contribute page and a host that drives it without a person (the headless contributor): the page
 * reads its settings from the address, reports each snapshot, and can be told to stop.
 */
import { WalletSchema } from '@tussah/protocol/contributor-frames';
import { EngineNameSchema } from '@tussah/protocol/engine-profile';
import { fail, FailureSchema, ok, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { NanoSchema } from '@tussah/protocol/money';
import * as v from 'valibot';
import type { ContributorSnapshot } from './snapshot.ts';

/** Path of the page on the coordinator's site. */
export const CONTRIBUTE_PATH = '/contribute';
/** Largest snapshot that a host reads, in UTF-16 units. */
const SNAPSHOT_UNITS_MAX = 65_536;

/** What the page does for a host; a `Contributor` has all of it. */
export interface HostControls {
  pause(): void;
  resume(): void;
  /** Resolves when the running answer is delivered and everything is released. */
  finishThenStop(): Promise<void>;
  stop(): Promise<void>;
}

interface HostGlobals {
  /** Given by the host; the page calls it with each snapshot as JSON. */
  tussahHost?: (snapshotJson: string) => unknown;
  /** Given by the page. */
  tussahContributor?: HostControls;
}
declare global {
  // An interface merges; this one adds to the browser's.
  interface Window extends HostGlobals {}
}

const EngineChoiceSchema = v.picklist(['auto', 'webllm', 'wllama']);
export type EngineChoice = v.InferOutput<typeof EngineChoiceSchema>;

/** Settings in the address; what is null is for the page, or its user, to choose. */
export interface ContributeParameters {
  /** Begin at once. */
  readonly auto: boolean;
  readonly model: string | null;
  readonly engine: EngineChoice;
  readonly wallet: string | null;
}

/** `#auto=1&model=..&engine=..&wallet=..` */
export function formatContributeHash({ auto, model, engine, wallet }: ContributeParameters): string {
  const parameters = new URLSearchParams();
  if (auto) parameters.set('auto', '1');
  if (model !== null) parameters.set('model', model);
  parameters.set('engine', engine);
  if (wallet !== null) parameters.set('wallet', wallet);
  return `#${parameters.toString()}`;
}

const ParametersSchema = v.object({
  auto: v.picklist(['', '1', '0']),
  model: v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(limits.modelIdCharacters))),
  engine: EngineChoiceSchema,
  wallet: v.nullable(WalletSchema),
});

/** Reads `location.hash`; whatever is missing has its default, whatever is malformed is refused by name. */
export function readContributeHash(hash: string): Result<ContributeParameters, 'bad_address'> {
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const parsed = v.safeParse(ParametersSchema, {
    auto: given.get('auto') ?? '0',
    model: given.get('model'),
    engine: given.get('engine') ?? 'auto',
    wallet: given.get('wallet'),
  });
  if (parsed.success) return ok({ ...parsed.output, auto: parsed.output.auto !== '0' });
  const name = v.getDotPath(parsed.issues[0]) ?? 'parameter';
  return fail({
    code: 'bad_address',
    message: `The address of this page has a malformed ${name}.`,
    remedy: 'Correct it in the address, or open the page without anything after the #.',
  });
}

interface Reporting extends HostControls {
  readonly snapshot: ContributorSnapshot;
  subscribe(listener: (snapshot: ContributorSnapshot) => void): () => void;
}

/** The page's side: offers the controls, and reports every snapshot if there is a host. The result undoes it. */
export function attachToHost(contributor: Reporting, target: HostGlobals = window): () => void {
  const report = (snapshot: ContributorSnapshot) => void target.tussahHost?.(JSON.stringify(snapshot));
  const controls: HostControls = {
    pause: () => contributor.pause(),
    resume: () => contributor.resume(),
    finishThenStop: () => contributor.finishThenStop(),
    stop: () => contributor.stop(),
  };
  target.tussahContributor = controls;
  const end = contributor.subscribe(report);
  report(contributor.snapshot);
  return () => {
    end();
    if (target.tussahContributor === controls) delete target.tussahContributor;
  };
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const sentence = v.pipe(v.string(), v.maxLength(2_000));
const SnapshotSchema = v.object({
  phase: v.picklist([
    'idle',
    'loading',
    'connecting',
    'ready',
    'working',
    'paused',
    'draining',
    'reconnecting',
    'stopped',
    'failed',
  ]),
  sentence,
  progress: v.nullable(
    v.object({ step: v.picklist(['download', 'start']), loadedBytes: count, totalBytes: v.nullable(count) }),
  ),
  model: sentence,
  build: v.nullable(sentence),
  engine: v.nullable(EngineNameSchema),
  engineNote: v.nullable(sentence),
  publicKey: v.nullable(sentence),
  jobsDone: count,
  tokensDone: count,
  tokensPerSecond: v.nullable(v.number()),
  earnedHereNano: NanoSchema,
  earnedTotalNano: v.nullable(NanoSchema),
  failure: v.nullable(FailureSchema),
});

/** The host's side: one reported snapshot; undefined when it has another shape, as a page of another version may send. */
export function readSnapshot(json: unknown): ContributorSnapshot | undefined {
  if (typeof json !== 'string' || json.length > SNAPSHOT_UNITS_MAX) return undefined;
  try {
    const parsed = v.safeParse(SnapshotSchema, JSON.parse(json));
    if (!parsed.success) return undefined;
    const { failure, ...rest } = parsed.output;
    if (failure === null) return { ...rest, failure };
    const { param, ...named } = failure;
    return { ...rest, failure: param === undefined ? named : { ...named, param } };
  } catch {
    return undefined;
  }
}
