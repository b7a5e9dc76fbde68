/** The operator's settings: flags before environment before defaults, validated once. */
import { isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseTon, type Nano } from '@tussah/protocol/money';

interface Setting {
  readonly help: string;
  readonly default: string;
}

/** Every setting is a flag `--name` and a variable `TUSSAH_NAME`. */
export const settings = {
  host: { help: 'Address to listen on.', default: '127.0.0.1' },
  port: { help: 'Port to listen on; 0 takes a free one.', default: '4180' },
  data: {
    help: 'Folder of the books, the key and the administration token.',
    default: '.tussah/coordinator',
  },
  site: { help: 'Folder of the built site.', default: 'web/dist' },
  'fee-basis-points': {
    help: "The network's fee, in hundredths of a percent of each charge.",
    default: '500',
  },
  'guest-fund-ton': { help: 'Credit set aside once for guests, in TON; 0 serves no guests.', default: '1' },
  'guest-daily-ton': { help: 'What all guests together may cost a day.', default: '1' },
  'guest-network-daily-ton': {
    help: 'What the guests of one network address may cost a day.',
    default: '0.05',
  },
  'contributors-per-network': { help: 'Sockets of contributors from one network address.', default: '256' },
  'contributors-max': { help: 'Sockets of contributors altogether.', default: '20000' },
  'connections-per-network': {
    help: 'Connections of any kind from one network address; not counted behind a proxy.',
    default: '1024',
  },
  'connections-max': {
    help: 'Connections altogether; the limit of open files must be higher.',
    default: '30000',
  },
  'trust-proxy': { help: 'true behind a reverse proxy that sets X-Forwarded-For.', default: 'false' },
  'node-policy': {
    help: 'File of the policy for confidential nodes (attestation/README.md); without one there is no private tier.',
    default: '',
  },
  'log-level': { help: 'fatal, error, warn, info, debug or silent.', default: 'info' },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

export interface CoordinatorConfig {
  readonly host: string;
  readonly port: number;
  readonly dataFolder: string;
  readonly siteFolder: string;
  readonly feeBasisPoints: number;
  readonly guestFundNano: Nano;
  readonly guestDailyNano: Nano;
  readonly guestNetworkDailyNano: Nano;
  readonly contributorsPerNetwork: number;
  readonly contributorsMax: number;
  readonly connectionsPerNetwork: number;
  readonly connectionsMax: number;
  readonly trustProxy: boolean;
  /** Null where there is no private tier. */
  readonly nodePolicyFile: string | null;
  readonly logLevel: string;
}

/** A setting that can't be used, with the sentence for the operator. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'];

/** Throws `ConfigError`. Relative folders are relative to `root`. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv, root: string): CoordinatorConfig {
  const options = Object.fromEntries(
    Object.keys(settings).map((name) => [name, { type: 'string' as const }]),
  );
  let flags: Record<string, unknown>;
  try {
    flags = parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    throw new ConfigError(`${(error as Error).message} See --help.`);
  }
  const text = (name: SettingName): string => {
    const flag = flags[name];
    return typeof flag === 'string' ? flag : (env[variableOf(name)] ?? settings[name].default);
  };
  const whole = (name: SettingName, min: number, max: number): number => {
    const value = Number(text(name));
    if (/^\d+$/.test(text(name)) && value >= min && value <= max) return value;
    throw new ConfigError(`--${name} must be a whole number from ${min} to ${max}, not "${text(name)}".`);
  };
  const ton = (name: SettingName): Nano => {
    const value = parseTon(text(name));
    if (value !== undefined) return value;
    throw new ConfigError(`--${name} must be a sum in TON such as 0.5, not "${text(name)}".`);
  };
  const oneOf = (name: SettingName, values: readonly string[]): string => {
    if (values.includes(text(name))) return text(name);
    throw new ConfigError(`--${name} must be one of ${values.join(', ')}, not "${text(name)}".`);
  };
  const path = (name: SettingName): string =>
    isAbsolute(text(name)) ? text(name) : resolve(root, text(name));
  return {
    host: text('host'),
    port: whole('port', 0, 65_535),
    dataFolder: path('data'),
    siteFolder: path('site'),
    feeBasisPoints: whole('fee-basis-points', 0, 10_000),
    guestFundNano: ton('guest-fund-ton'),
    guestDailyNano: ton('guest-daily-ton'),
    guestNetworkDailyNano: ton('guest-network-daily-ton'),
    contributorsPerNetwork: whole('contributors-per-network', 1, 1_000_000),
    contributorsMax: whole('contributors-max', 1, 1_000_000),
    connectionsPerNetwork: whole('connections-per-network', 1, 1_000_000),
    connectionsMax: whole('connections-max', 1, 1_000_000),
    trustProxy: oneOf('trust-proxy', ['true', 'false']) === 'true',
    nodePolicyFile: text('node-policy') === '' ? null : path('node-policy'),
    logLevel: oneOf('log-level', logLevels),
  };
}

export const variableOf = (name: SettingName): string => `TUSSAH_${name.toUpperCase().replaceAll('-', '_')}`;

export const settingsHelp = (): string =>
  Object.entries(settings)
    .map(([name, { help, default: value }]) => `  --${name.padEnd(26)} ${help} (${value})`)
    .join('\n');
