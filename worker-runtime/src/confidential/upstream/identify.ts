/** What kind of upstream listens there, by the addresses that only it has. Whatever is none of these is refused. */
import { sha256Hex } from '@tussah/protocol/bytes';
import { signedBytes } from '@tussah/protocol/canonical';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import * as v from 'valibot';
import type { UpstreamFacts, UpstreamKind } from '../ports.ts';
import { localJson } from './local-http.ts';
import type { LoopbackAddress } from './loopback.ts';

export type IdentifyFailureCode =
  | 'upstream_unreachable'
  | 'upstream_unknown'
  | 'upstream_model_missing'
  | 'upstream_context_unknown';

const version = v.pipe(v.string(), v.minLength(1), v.maxLength(128));
const tokens = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

interface Signs {
  readonly version: string;
  readonly contextTokens: number | undefined;
}
interface Probe {
  readonly kind: UpstreamKind;
  readonly path: string;
  readonly read: (answer: unknown) => Signs | undefined;
}

const probe = <Schema extends v.GenericSchema>(
  kind: UpstreamKind,
  path: string,
  schema: Schema,
  signs: (answer: v.InferOutput<Schema>) => Signs,
): Probe => ({
  kind,
  path,
  read: (answer) => {
    const parsed = v.safeParse(schema, answer);
    return parsed.success ? signs(parsed.output) : undefined;
  },
});

const plain = (answer: { readonly version: string }): Signs => ({
  version: answer.version,
  contextTokens: undefined,
});
const SglangSchema = v.object({ version, model_path: v.string() });

/** The names that are strict tell those apart that share an address. */
const probes: readonly Probe[] = [
  probe(
    'tussah-embedded',
    '/version',
    v.strictObject({ version, server: v.literal('tussah-embedded') }),
    plain,
  ),
  probe('vllm', '/version', v.strictObject({ version }), plain),
  probe('sglang', '/server_info', SglangSchema, plain),
  probe('sglang', '/get_server_info', SglangSchema, plain),
  probe(
    'llama-server',
    '/props',
    v.object({ build_info: version, default_generation_settings: v.object({ n_ctx: tokens }) }),
    (answer) => ({ version: answer.build_info, contextTokens: answer.default_generation_settings.n_ctx }),
  ),
];

const ModelsSchema = v.object({
  data: v.pipe(
    v.array(
      v.object({
        id: v.pipe(v.string(), v.maxLength(limits.modelIdCharacters * 8)),
        max_model_len: v.nullish(tokens),
      }),
    ),
    v.maxLength(1_024),
  ),
});

const PROBE_MS = 5_000;

/**
 * `model` is the name that the upstream knows it by; `args` are those that it was started with, where they are known;
 * `embedded` is whether the embedded one may be it.
 */
export async function identifyUpstream(
  to: LoopbackAddress,
  model: string,
  args: readonly string[],
  embedded: boolean,
): Promise<Result<UpstreamFacts, IdentifyFailureCode>> {
  const models = await localJson(to, { method: 'GET', path: '/v1/models', silenceMs: PROBE_MS });
  if (!models.ok)
    return fail({
      code: 'upstream_unreachable',
      message: models.failure.message,
      remedy: 'Start the upstream, and wait until it answers /v1/models.',
    });
  const listed = v.safeParse(ModelsSchema, models.value);
  const entry = listed.success ? listed.output.data.find(({ id }) => id === model) : undefined;
  if (entry === undefined)
    return fail({
      code: 'upstream_model_missing',
      message: 'The upstream does not list the model in /v1/models.',
      remedy: 'Serve it under its id, or name it with --upstream-model.',
    });
  const found = await firstMatch(to, embedded);
  if (found === undefined)
    return fail({
      code: 'upstream_unknown',
      message: 'The upstream is neither vLLM nor SGLang nor llama-server.',
      remedy: 'Put one of these into the image; how another one treats prompts is not known.',
    });
  const contextTokens = entry.max_model_len ?? found.contextTokens;
  if (contextTokens === undefined)
    return fail({
      code: 'upstream_context_unknown',
      message: 'The upstream does not say how long a context may be.',
      remedy: 'Use a version whose /v1/models has max_model_len.',
    });
  const { kind } = found;
  const bounded = Math.min(contextTokens, privateLimits.promptTokens);
  const config = { kind, version: found.version, model, contextTokens: bounded, arguments: [...args] };
  const configDigest = sha256Hex(signedBytes('tussah-config/1', config));
  return ok({ kind, version: found.version, contextTokens: bounded, configDigest });
}

async function firstMatch(
  to: LoopbackAddress,
  embedded: boolean,
): Promise<(Signs & { readonly kind: UpstreamKind }) | undefined> {
  const paths = [...new Set(probes.map(({ path }) => path))];
  const answers = new Map(
    await Promise.all(
      paths.map(
        async (path) => [path, await localJson(to, { method: 'GET', path, silenceMs: PROBE_MS })] as const,
      ),
    ),
  );
  for (const { kind, path, read } of probes) {
    if (kind === 'tussah-embedded' && !embedded) continue;
    const answer = answers.get(path);
    const signs = answer?.ok === true ? read(answer.value) : undefined;
    if (signs !== undefined) return { kind, ...signs };
  }
  return undefined;
}
