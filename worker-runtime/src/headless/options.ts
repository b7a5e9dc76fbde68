/** The arguments of `npm run contribute`, read once and checked before anything is started. */
import { parseArgs } from 'node:util';
import { WalletSchema } from '@tussah/protocol/contributor-frames';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import * as v from 'valibot';
import type { HeadlessOptions } from './host.ts';

export const exitCodes = {
  stopped: 0,
  failed: 1,
  usage: 2,
  'no-browser': 3,
  unreachable: 4,
  /** Stopped at once by a second signal: 128 + SIGINT, as shells count. */
  interrupted: 130,
} as const;

export const help = `Contributes this machine to a Tussah network, in a browser without a window.

  npm run contribute -- --coordinator URL --model ID [--wallet ADDRESS] [options]

  --coordinator URL     origin of the coordinator, such as https://tussah.example
  --model ID            a model that its /v1/models lists
  --wallet ADDRESS      TON address to be paid at; without it, earnings stay with this profile's key
  --engine NAME         webllm (GPU), wllama (CPU) or auto (default): WebLLM where the GPU allows it
  --max-hours N         finish and stop after so long; default: never
  --profile DIR         folder of the browser's profile, which holds the key and the models;
                        default: .tussah/profiles/contribute
  --browser PATH        Chromium, Chrome or Edge; default: the one installed (or TUSSAH_BROWSER)
  --software-webgpu     WebGPU on the CPU even where there is a GPU; --no-software-webgpu never does it.
                        Default: only with --engine webllm on a machine without a GPU
  --json                one JSON object a line on stdout: {"type":"snapshot"|"notice"|"end", ...}
  --help                this text

Press Ctrl-C once to finish the running answer and stop, twice to stop at once.

Exit codes: 0 stopped as asked; 1 failed; 2 bad usage; 3 no browser; 4 coordinator can't be reached;
            130 stopped at once.
`;

export interface ContributeArguments extends HeadlessOptions {
  readonly maxMs: number | null;
  readonly json: boolean;
}

const HOURS_MAX = 10_000;
const bad = (message: string, remedy: string) => fail({ code: 'bad_usage' as const, message, remedy });
const seeHelp = 'See npm run contribute -- --help.';

/** The checked arguments, or `help` when that was asked for. */
export function readArguments(args: readonly string[]): Result<ContributeArguments | 'help', 'bad_usage'> {
  let values: ReturnType<typeof parse>['values'];
  try {
    values = parse(args).values;
  } catch (error) {
    return bad(firstLine(error), seeHelp);
  }
  if (values.help === true) return ok('help');
  const { coordinator, model, wallet, engine = 'auto' } = values;
  if (coordinator === undefined)
    return bad(
      '--coordinator is missing.',
      'Name the coordinator, such as --coordinator http://127.0.0.1:4180.',
    );
  const url = URL.parse(coordinator);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.pathname !== '/')
    return bad(
      '--coordinator is not the origin of an http or https site.',
      'Give it like https://tussah.example.',
    );
  if (model === undefined) return bad('--model is missing.', `Choose one of ${url.origin}/v1/models.`);
  if (model === '' || model.length > limits.modelIdCharacters)
    return bad('--model is not a model id.', `Choose one of ${url.origin}/v1/models.`);
  if (wallet !== undefined && !v.is(WalletSchema, wallet))
    return bad('--wallet is not a TON address.', 'Give the 48 characters that your wallet shows.');
  if (engine !== 'auto' && engine !== 'webllm' && engine !== 'wllama')
    return bad(`--engine ${engine} does not exist.`, 'Choose webllm, wllama or auto.');
  const hours = values['max-hours'];
  const maxHours = hours === undefined ? null : Number(hours);
  if (maxHours !== null && !(maxHours > 0 && maxHours <= HOURS_MAX))
    return bad('--max-hours is not a number of hours.', `Give a number above 0 and up to ${HOURS_MAX}.`);
  const software = values['software-webgpu'];
  return ok({
    coordinatorUrl: url.origin,
    model,
    engine,
    wallet: wallet ?? null,
    ...(values.profile === undefined ? {} : { profileDir: values.profile }),
    ...(values.browser === undefined ? {} : { browserPath: values.browser }),
    softwareWebGpu: software === undefined ? 'auto' : software ? 'always' : 'never',
    maxMs: maxHours === null ? null : maxHours * 3_600_000,
    json: values.json === true,
  });
}

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      coordinator: { type: 'string' },
      model: { type: 'string' },
      wallet: { type: 'string' },
      engine: { type: 'string' },
      'max-hours': { type: 'string' },
      profile: { type: 'string' },
      browser: { type: 'string' },
      'software-webgpu': { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });

const firstLine = (error: unknown) =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'Bad usage.';
