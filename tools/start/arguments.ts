/** The command line of `npm start`. */
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import type { Tier } from '@tussah/protocol/sampling';

export type StartEngine = 'webllm' | 'wllama';

export interface StartArguments {
  /** The question to answer before ending; null stays up. */
  readonly once: string | null;
  readonly tier: Tier;
  readonly model: string;
  readonly engine: StartEngine;
  readonly json: boolean;
  /** Exactly this port; null takes the usual one or the next free one. */
  readonly port: number | null;
  readonly verbose: boolean;
}

/** What the network is about; machines without a GPU run it on the browser's software adapter. */
export const defaultEngine: StartEngine = 'webllm';
export const defaultModel = 'tussah-tiny';
export const defaultPort = 4180;
export const defaultQuestion = 'What is 12 + 7?';

export const startHelp = `npm start [-- OPTIONS]

Runs everything on this machine: coordinator, site, one contributor in a headless browser, and one confidential node that
is SIMULATED. Asks one question, shows the answer and its receipt, and stays up until Ctrl-C.

  --once "TEXT"      ask TEXT, print the answer, stop everything and end
  --json             with --once: the last line on stdout is one JSON object
  --model ID         model to serve and ask (${defaultModel})
  --engine NAME      webllm or wllama (${defaultEngine})
  --tier TIER        public: the contributor answers; private: sealed to the simulated node (public)
  --port N           exactly this port (${defaultPort}, or the next free one)
  --verbose          what each phase took, and the logs of the coordinator
  --help             this text
`;

const options = {
  once: { type: 'string' },
  tier: { type: 'string' },
  model: { type: 'string' },
  engine: { type: 'string' },
  port: { type: 'string' },
  json: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export type Parsed =
  | { readonly kind: 'help' }
  | { readonly kind: 'start'; readonly arguments: StartArguments };

/** `knownModels` are the catalogue's ids. */
export function parseStartArguments(
  args: readonly string[],
  knownModels: readonly string[],
): Result<Parsed, 'bad_flags' | 'model_not_found' | 'tier_unavailable'> {
  const read = readFlags(args);
  if (typeof read === 'string') return badFlags(read);
  if (read.help === true) return ok({ kind: 'help' });
  const { once, tier = 'public', model = defaultModel, engine = defaultEngine, port } = read;
  if (once?.trim() === '') return badFlags('--once needs a question.');
  if (once === undefined && read.json === true) return badFlags('--json needs --once.');
  if (tier !== 'public' && tier !== 'private') return badFlags(`--tier is public or private, not "${tier}".`);
  if (engine !== 'webllm' && engine !== 'wllama')
    return badFlags(`--engine is webllm or wllama, not "${engine}".`);
  if (port !== undefined && !isPort(port))
    return badFlags(`--port is a number from 1 to 65535, not "${port}".`);
  if (!knownModels.includes(model))
    return fail({
      code: 'model_not_found',
      message: `There is no model "${model}" in the catalogue.`,
      remedy: `Choose one of: ${knownModels.join(', ')}.`,
    });
  if (tier === 'private' && model !== defaultModel)
    return fail({
      code: 'tier_unavailable',
      message: `The simulated node of npm start serves ${defaultModel} only. The request was not moved to another tier.`,
      remedy: `Leave --model out, or run a node of your own with npm run node.`,
    });
  return ok({
    kind: 'start',
    arguments: {
      once: once ?? null,
      tier,
      model,
      engine,
      json: read.json ?? false,
      port: port === undefined ? null : Number(port),
      verbose: read.verbose ?? false,
    },
  });
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const isPort = (text: string): boolean => /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535;

const badFlags = (message: string) =>
  fail({ code: 'bad_flags' as const, message, remedy: 'See npm start -- --help.' });
