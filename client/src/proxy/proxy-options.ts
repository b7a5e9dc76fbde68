/** The arguments of `npm run proxy`, read once and checked before anything is started. */
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parsePolicy, type Policy } from '@tussah/attestation/policy/policy';
import { limits } from '@tussah/attestation/limits';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import { PublicKeySchema } from '@tussah/protocol/ids';
import { parseTon } from '@tussah/protocol/money';
import { PaddingSchema, type Padding } from '@tussah/protocol/private/header';
import * as v from 'valibot';

export const exitCodes = { stopped: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export const DEFAULT_PORT = 4181;

export const help = `An OpenAI-compatible endpoint on this machine for private answers: it verifies confidential machines, seals each question
to them and opens their answers. Nothing leaves this machine in the clear.

  npm run proxy -- --coordinator URL [--policy FILE] [options]

  --coordinator URL      origin of the coordinator, such as https://tussah.example
  --policy FILE          which machines are accepted (attestation/README.md, Policies); default: the packaged strict policy,
                         which names no image yet, so that every question is refused
  --port N               port on 127.0.0.1 (${DEFAULT_PORT})
  --coordinator-key KEY  the coordinator's public key, where you know it; otherwise the first one seen is kept
  --padding NAME         paced (default), buckets or none: what lengths and times may tell
  --max-price TON        the most that one question may cost, unless it says so itself; default: whatever the node asks that is drawn
  --state FOLDER         keeps the token and the directory's heads (.tussah/proxy)
  --json                 print one JSON object a line
  --help                 this text

Programs use http://127.0.0.1:${DEFAULT_PORT}/v1 as the base URL and the token that is printed as the API key. An API key for the coordinator
is taken from the variable TUSSAH_API_KEY; without it you are a guest.

Press Ctrl-C once to finish the running answers and stop, twice to stop at once.

Exit codes: 0 stopped as asked; 1 failed; 2 bad usage; 130 stopped at once.
`;

export interface ProxyArguments {
  /** Ends with `/v1`. */
  readonly baseURL: string;
  readonly apiKey: string | null;
  readonly policy: Policy;
  readonly port: number;
  readonly coordinatorKey: string | null;
  readonly padding: Padding;
  readonly maxPriceNano: bigint | undefined;
  readonly stateFolder: string;
  readonly json: boolean;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const packagedPolicy = fileURLToPath(new URL('../../policies/strict.json', import.meta.url));

const bad = (message: string, remedy = 'See npm run proxy -- --help.') =>
  fail({ code: 'bad_usage' as const, message, remedy });

/** The checked arguments, or `help` when that was asked for. */
export function readArguments(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Result<ProxyArguments | 'help'> {
  let values: ReturnType<typeof parse>['values'];
  try {
    values = parse(args).values;
  } catch (error) {
    return bad(error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'Bad usage.');
  }
  if (values.help === true) return ok('help');
  const url = URL.parse(values.coordinator ?? '');
  if (values.coordinator === undefined)
    return bad('--coordinator is missing.', 'Name it, such as --coordinator https://tussah.example.');
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.pathname !== '/')
    return bad(
      '--coordinator is not the origin of an http or https site.',
      'Give it like https://tussah.example.',
    );
  const apiKey = environment['TUSSAH_API_KEY'] ?? null;
  if (apiKey !== null && url.protocol === 'http:' && !isThisMachine(url.hostname))
    return bad(
      'The API key would go to --coordinator in the clear.',
      'Use an https address, or unset TUSSAH_API_KEY to ask as a guest.',
    );
  const port = Number(values.port ?? DEFAULT_PORT);
  if (!/^\d{1,5}$/.test(values.port ?? '0') || port > 65_535)
    return bad('--port is not a port.', 'Give a number from 0, for any that is free, to 65535.');
  const coordinatorKey = values['coordinator-key'] ?? null;
  if (coordinatorKey !== null && !v.is(PublicKeySchema, coordinatorKey))
    return bad('--coordinator-key is not a public key.', 'Give 64 lowercase hexadecimal digits.');
  const padding = values.padding ?? 'paced';
  if (!v.is(PaddingSchema, padding))
    return bad(`--padding ${padding} does not exist.`, 'Choose paced, buckets or none.');
  const maxPrice = values['max-price'];
  const maxPriceNano = maxPrice === undefined ? undefined : parseTon(maxPrice);
  if (maxPrice !== undefined && maxPriceNano === undefined)
    return bad('--max-price is not a sum in TON.', 'Give it like 0.05, with at most nine decimals.');
  const policy = readPolicy(values.policy ?? packagedPolicy);
  if (!policy.ok) return policy;
  return ok({
    baseURL: `${url.origin}/v1`,
    apiKey,
    policy: policy.value,
    port,
    coordinatorKey,
    padding,
    maxPriceNano,
    stateFolder: values.state ?? `${root}.tussah/proxy`,
    json: values.json === true,
  });
}

/** Of a URL, where names and addresses are normalised. */
const isThisMachine = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);

function readPolicy(path: string): Result<Policy> {
  const unreadable = (why: string): Result<never> =>
    bad(`--policy ${path} can't be read: ${why}.`, 'Give a policy file (attestation/README.md, Policies).');
  try {
    // A character of UTF-8 has at most four bytes.
    if (statSync(path).size > 4 * limits.policyCharacters) return unreadable('it is too large');
    return parsePolicy(readFileSync(path, 'utf8'));
  } catch (error) {
    return unreadable((error as NodeJS.ErrnoException).code ?? 'unknown');
  }
}

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    options: {
      coordinator: { type: 'string' },
      policy: { type: 'string' },
      port: { type: 'string' },
      'coordinator-key': { type: 'string' },
      padding: { type: 'string' },
      'max-price': { type: 'string' },
      state: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });

export const told = ({ message, remedy }: Failure): string => `${message}\n${remedy}\n`;
