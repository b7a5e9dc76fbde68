/** The arguments of `npm run node`, read once and checked before anything is started. */
import { parseArgs } from 'node:util';
import { modelById } from '@tussah/models/catalogue';
import { WalletSchema } from '@tussah/protocol/contributor-frames';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { parseNano, type PriceWire } from '@tussah/protocol/money';
import { suiteNames, type SuiteName } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import * as v from 'valibot';
import { amdKds } from './hardware/collateral/snp-collateral.ts';
import { nvidiaOcsp } from './hardware/collateral/gpu-ocsp.ts';
import { intelServices, pccsServices, type TdxServices } from './hardware/collateral/tdx-collateral.ts';
import { embeddedModelId } from './upstream/embedded/embedded-facts.ts';

export const exitCodes = {
  stopped: 0,
  failed: 1,
  usage: 2,
  'no-evidence': 3,
  upstream: 4,
  refused: 5,
  /** Stopped at once by a second signal: 128 + SIGINT, as shells count. */
  interrupted: 130,
} as const;

export const nodeHelp = `Serves private jobs on this confidential machine: attests to it, opens sealed jobs, has the upstream on this machine
answer them, and seals the answers.

  npm run node -- --coordinator URL --upstream URL --model ID --weights PATH --tee tdx|snp --image NAME [options]
  npm run node -- --coordinator URL --simulated [options]      for development: proves nothing

  --coordinator URL          origin of the coordinator, such as https://tussah.example
  --upstream URL             vLLM, SGLang or llama-server on this machine, such as http://127.0.0.1:8000/v1
  --upstream-executable PATH which program may listen there; may be repeated; needed without --simulated
  --upstream-model NAME      the name that the upstream serves the model by (ID)
  --model ID                 the model's id in the network
  --weights PATH             its files, a file or a folder: their digest is attested to
  --tee tdx|snp              what this machine is
  --image NAME               name of the measured image in policies
  --no-gpu                   a machine without a GPU; else nvattest collects evidence of all GPUs
  --nvattest PATH            NVIDIA's tool (nvattest)
  --pccs URL                 origin of a PCCS for TDX collateral (Intel's own service)
  --kds URL                  origin of AMD's key distribution service, or of a cache of it (${amdKds})
  --ocsp URL                 NVIDIA's OCSP responder, or a cache of it (${nvidiaOcsp})
  --price-prompt N           nanoTON a million prompt tokens; default: the catalogue's
  --price-completion N       nanoTON a million completion tokens; default: the catalogue's
  --wallet ADDRESS           TON address to be paid at; without it, earnings stay with the identity's key
  --identity FILE            key of the operator's identity, made where there is none; default: a new one each time
  --concurrency N            jobs at once (16; 2 with the embedded upstream)
  --epoch-minutes N          how long keys and evidence live (60)
  --suite NAME               ${suiteNames.join(' or ')}
  --simulated                simulated evidence, which only simulated policies accept
  --state FOLDER             of the simulated vendors (.tussah/simulated)
  --embedded                 with --simulated: the bundled model, run by the node; the default without --upstream
  --help                     this text

Logs are JSON lines on stderr, without any content. Each accepted bundle is a line on stdout: {"event":"attested", ...}.
Press Ctrl-C once to finish the running jobs and stop, twice to stop at once.

Exit codes: 0 stopped as asked; 1 failed; 2 bad usage; 3 this machine gives no evidence; 4 the upstream is not one that
            may be used; 5 refused by the coordinator; 130 stopped at once.
`;

export interface HardwareOptions {
  readonly tee: 'tdx' | 'snp';
  readonly image: string;
  /** Null without a GPU. */
  readonly nvattest: string | null;
  readonly tdx: TdxServices;
  readonly kds: string;
  readonly ocsp: string;
}

export interface UpstreamOptions {
  readonly url: string;
  readonly model: string;
  readonly weights: string;
  /** Null where they are not looked at. */
  readonly executables: readonly string[] | null;
}

export interface NodeOptions {
  readonly coordinatorUrl: string;
  readonly model: string;
  readonly price: PriceWire;
  readonly wallet: string | null;
  readonly identityFile: string | null;
  readonly suite: SuiteName;
  readonly concurrency: number;
  readonly lifeMs: number;
  /** Null with the embedded upstream. */
  readonly upstream: UpstreamOptions | null;
  /** Null when simulated. */
  readonly hardware: HardwareOptions | null;
  /** Folder of the simulated vendors; null for the usual one. */
  readonly stateFolder: string | null;
}

type Bad = Result<never, 'bad_usage'>;
const bad = (message: string, remedy = 'See npm run node -- --help.'): Bad =>
  fail({ code: 'bad_usage', message, remedy });

/** The checked arguments, or `help` when that was asked for. */
export function readNodeOptions(args: readonly string[]): Result<NodeOptions | 'help', 'bad_usage'> {
  let values: Values;
  try {
    ({ values } = parse(args));
  } catch (error) {
    return bad(error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'Bad usage.');
  }
  if (values.help === true) return ok('help');
  const coordinator = originOf(values.coordinator);
  if (coordinator === undefined)
    return bad(
      values.coordinator === undefined
        ? '--coordinator is missing.'
        : '--coordinator is not the origin of an http or https site.',
      'Name it like --coordinator http://127.0.0.1:4180.',
    );
  const simulated = values.simulated === true;
  const embedded = values.embedded === true || (simulated && values.upstream === undefined);
  if (embedded && !simulated) return bad('--embedded goes with --simulated only.');
  if (embedded && values.upstream !== undefined) return bad('--embedded and --upstream exclude each other.');
  const model = values.model ?? (embedded ? embeddedModelId : undefined);
  if (model === undefined) return bad('--model is missing.');
  if (model === '' || model.length > limits.modelIdCharacters) return bad('--model is not a model id.');
  if (embedded && model !== embeddedModelId)
    return bad(`The embedded upstream has only ${embeddedModelId}.`, 'Give --upstream for another model.');
  const upstream = embedded ? ok(null) : upstreamOf(values, model, simulated);
  if (!upstream.ok) return upstream;
  const hardware = simulated ? ok(null) : hardwareOf(values);
  if (!hardware.ok) return hardware;
  const price = priceOf(values, model);
  if (price === undefined)
    return bad(
      'The price is missing or is no number of nanoTON.',
      'Give --price-prompt and --price-completion, whole numbers of nanoTON a million tokens.',
    );
  const { wallet } = values;
  if (wallet !== undefined && !v.is(WalletSchema, wallet))
    return bad('--wallet is not a TON address.', 'Give the 48 characters that your wallet shows.');
  const concurrency = wholeOf(values.concurrency, embedded ? 2 : 16, privateLimits.concurrencyMax);
  if (concurrency === undefined)
    return bad(`--concurrency is not a number from 1 to ${privateLimits.concurrencyMax}.`);
  const minutes = wholeOf(values['epoch-minutes'], 60, 24 * 60);
  if (minutes === undefined) return bad('--epoch-minutes is not a number from 1 to 1440.');
  const suite = values.suite ?? suiteNames[0];
  if (!isSuite(suite)) return bad(`--suite ${suite} does not exist.`, `Choose ${suiteNames.join(' or ')}.`);
  return ok({
    coordinatorUrl: coordinator,
    model,
    price,
    wallet: wallet ?? null,
    identityFile: values.identity ?? null,
    suite,
    concurrency,
    lifeMs: minutes * 60_000,
    upstream: upstream.value,
    hardware: hardware.value,
    stateFolder: values.state ?? null,
  });
}

function upstreamOf(values: Values, model: string, simulated: boolean): Result<UpstreamOptions, 'bad_usage'> {
  const { upstream: url, weights } = values;
  const executables = values['upstream-executable'] ?? [];
  if (url === undefined) return bad('--upstream is missing.');
  if (weights === undefined) return bad('--weights is missing.');
  if (executables.length === 0 && !simulated)
    return bad(
      '--upstream-executable is missing.',
      'Name the program of the measured image that may listen there, such as /usr/bin/python3.12.',
    );
  return ok({
    url,
    model: values['upstream-model'] ?? model,
    weights,
    executables: executables.length === 0 ? null : executables,
  });
}

function hardwareOf(values: Values): Result<HardwareOptions, 'bad_usage'> {
  const { tee, image, nvattest = 'nvattest' } = values;
  if (tee !== 'tdx' && tee !== 'snp')
    return bad(
      tee === undefined ? '--tee is missing.' : `--tee ${tee} does not exist.`,
      'Give --tee tdx or --tee snp; for development --simulated.',
    );
  if (image === undefined || image === '' || image.length > 128)
    return bad('--image is missing or too long.');
  const origins = [values.pccs, values.kds ?? amdKds, values.ocsp ?? nvidiaOcsp];
  const [pccs, kds, ocsp] = origins.map((url) => (url === undefined ? url : originOf(url)));
  if (kds === undefined || ocsp === undefined || (values.pccs !== undefined && pccs === undefined))
    return bad('--pccs, --kds and --ocsp are origins of http or https services.');
  const tdx = pccs === undefined ? intelServices : pccsServices(pccs);
  return ok({ tee, image, nvattest: values['no-gpu'] === true ? null : nvattest, tdx, kds, ocsp });
}

function priceOf(values: Values, model: string): PriceWire | undefined {
  const usual = modelById(model)?.price;
  const prompt = values['price-prompt'] ?? usual?.promptNanoPerMillion;
  const completion = values['price-completion'] ?? usual?.completionNanoPerMillion;
  if (prompt === undefined || completion === undefined) return undefined;
  if (parseNano(prompt) === undefined || parseNano(completion) === undefined) return undefined;
  return { promptNanoPerMillion: prompt, completionNanoPerMillion: completion };
}

function originOf(text: string | undefined): string | undefined {
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  return url.username === '' && url.pathname === '/' && url.search === '' ? url.origin : undefined;
}

function wholeOf(text: string | undefined, usual: number, max: number): number | undefined {
  if (text === undefined) return usual;
  return /^[1-9]\d{0,6}$/.test(text) && Number(text) <= max ? Number(text) : undefined;
}

const isSuite = (name: string): name is SuiteName => (suiteNames as readonly string[]).includes(name);

type Values = ReturnType<typeof parse>['values'];

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    options: {
      coordinator: text,
      upstream: text,
      'upstream-executable': { type: 'string', multiple: true },
      'upstream-model': text,
      model: text,
      weights: text,
      tee: text,
      image: text,
      'no-gpu': flag,
      nvattest: text,
      pccs: text,
      kds: text,
      ocsp: text,
      'price-prompt': text,
      'price-completion': text,
      wallet: text,
      identity: text,
      concurrency: text,
      'epoch-minutes': text,
      suite: text,
      simulated: flag,
      state: text,
      embedded: flag,
      help: { type: 'boolean', short: 'h' },
    },
  });
