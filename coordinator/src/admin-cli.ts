/** `npm run coordinator -- keys ...`: asks the running coordinator, with the token from its data folder. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTon, parseTon } from '@tussah/protocol/money';
import { ConfigError } from './shell/config.ts';

export const adminHelp = `keys create --name NAME [--ton 0.5] [--weight 1]   a new account with credit and a key, shown once
keys list                                          accounts, balances and keys
keys revoke KEY_ID                                 ends a key at once
keys credit --account ID|guests --ton 0.5          adds credit (development money)
  each with --url http://127.0.0.1:4180 and --data FOLDER`;

const options = {
  name: { type: 'string' },
  ton: { type: 'string', default: '0' },
  weight: { type: 'string', default: '1' },
  account: { type: 'string' },
  url: { type: 'string', default: 'http://127.0.0.1:4180' },
  data: { type: 'string', default: '.tussah/coordinator' },
} as const;

export async function runAdmin(args: readonly string[], root: string): Promise<number> {
  const { values, positionals } = readArgs(args);
  const token = readToken(resolve(root, values.data));
  const [action, subject] = positionals;
  const ask = (method: string, path: string, body?: unknown) =>
    request(values.url, token, method, path, body);
  const nano = parseTon(values.ton);
  if (nano === undefined) throw new ConfigError(`--ton must be a sum such as 0.5, not "${values.ton}".`);
  switch (action) {
    case 'create': {
      if (values.name === undefined) throw new ConfigError('keys create needs --name.');
      const body = { name: values.name, weight: Number(values.weight), creditNano: nano.toString() };
      const made = (await ask('POST', '/v1/admin/accounts', body)) as {
        account: string;
        key: string;
        keyId: string;
      };
      console.log(
        `account ${made.account}\nkey     ${made.key}\nkey id  ${made.keyId}\nThe key is not shown again.`,
      );
      return 0;
    }
    case 'list': {
      const { accounts } = (await ask('GET', '/v1/admin/accounts')) as {
        accounts: {
          id: string;
          name: string;
          balanceNano: string;
          keys: { id: string; revokedAtMs: number | null }[];
        }[];
      };
      for (const account of accounts) {
        console.log(`${account.id}  ${formatTon(BigInt(account.balanceNano))} TON  ${account.name}`);
        for (const key of account.keys)
          console.log(`  ${key.id}${key.revokedAtMs === null ? '' : '  revoked'}`);
      }
      return 0;
    }
    case 'revoke': {
      if (subject === undefined) throw new ConfigError('keys revoke needs the id of a key.');
      await ask('DELETE', `/v1/admin/keys/${encodeURIComponent(subject)}`);
      console.log(`revoked ${subject}`);
      return 0;
    }
    case 'credit': {
      if (values.account === undefined) throw new ConfigError('keys credit needs --account.');
      const body = { account: values.account, amountNano: nano.toString(), reference: `cli:${Date.now()}` };
      const { balanceNano } = (await ask('POST', '/v1/admin/credit', body)) as { balanceNano: string };
      console.log(`balance ${formatTon(BigInt(balanceNano))} TON`);
      return 0;
    }
    default:
      throw new ConfigError(`Unknown action "${action ?? ''}". See --help.`);
  }
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message} See --help.`);
  }
}

function readToken(folder: string): string {
  try {
    return readFileSync(join(folder, 'admin-token'), 'utf8').trim();
  } catch {
    throw new ConfigError(
      `There is no administration token in ${folder}; start the coordinator first, or name its --data.`,
    );
  }
}

async function request(
  url: string,
  token: string,
  method: string,
  path: string,
  body: unknown,
): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ConfigError(`No coordinator answers at ${url}; start it, or name its --url.`);
  }
  const answer = (await response.json()) as { error?: { message: string; remedy: string } };
  if (answer.error !== undefined) throw new ConfigError(`${answer.error.message} ${answer.error.remedy}`);
  return answer;
}
