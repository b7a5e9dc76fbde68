/** Who asks: accounts by API key, guests by network address. Keys are known by their SHA-256 only. */
import { createHash, randomBytes } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { fail, failure, ok, type ErrorCode, type Result } from '@tussah/protocol/errors';
import { newId } from '@tussah/protocol/ids';
import { ledgerAccounts } from '../core/ledger.ts';
import type { AccountRecord, ApiKeyRecord, Store } from './store/port.ts';

/** A client that must send some key may send this one to be a guest. */
export const GUEST_KEY = 'guest';

export interface Caller {
  readonly accountId: string;
  readonly payer: string;
  readonly flow: string;
  readonly weight: number;
  readonly guest: boolean;
}

export class Accounts {
  readonly #store: Store;
  readonly #accounts = new Map<string, AccountRecord>();
  readonly #keys = new Map<string, ApiKeyRecord>();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(store: Store): Promise<Accounts> {
    const accounts = new Accounts(store);
    for (const account of await store.accounts()) accounts.#accounts.set(account.id, account);
    for (const key of await store.apiKeys()) accounts.#keys.set(key.hash, key);
    return accounts;
  }

  /** Reads an Authorization header (RFC 6750). No header, or the guest key, is a guest from `address`. */
  identify(authorization: string | undefined, address: string): Result<Caller, ErrorCode> {
    if (authorization === undefined) return ok(guestFrom(address));
    const key = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (key === undefined) return fail(failure('invalid_api_key', 'The Authorization header holds no key.'));
    if (key === GUEST_KEY) return ok(guestFrom(address));
    const record = this.#keys.get(hashOfKey(key));
    const account = this.#accounts.get(record?.accountId ?? '');
    if (record === undefined || account === undefined) return fail(failure('invalid_api_key'));
    if (record.revokedAtMs !== null) return fail(failure('api_key_revoked'));
    const { id, weight } = account;
    return ok({ accountId: id, payer: ledgerAccounts.client(id), flow: id, weight, guest: false });
  }

  byId(id: string): AccountRecord | undefined {
    return this.#accounts.get(id);
  }

  list(): AccountRecord[] {
    return [...this.#accounts.values()];
  }

  keysOf(accountId: string): ApiKeyRecord[] {
    return [...this.#keys.values()].filter((key) => key.accountId === accountId);
  }

  async create(name: string, weight: number): Promise<AccountRecord> {
    const account: AccountRecord = { id: newId('acct'), name, weight, createdAtMs: Date.now() };
    await this.#store.write({ kind: 'account', account });
    this.#accounts.set(account.id, account);
    return account;
  }

  /** Makes a key; it is shown this once and never again. */
  async createKey(accountId: string): Promise<{ record: ApiKeyRecord; secret: string }> {
    const secret = `tsk_${randomBytes(24).toString('base64url')}`;
    const record: ApiKeyRecord = {
      id: newId('key'),
      hash: hashOfKey(secret),
      accountId,
      createdAtMs: Date.now(),
      revokedAtMs: null,
    };
    await this.#store.write({ kind: 'api-key', apiKey: record });
    this.#keys.set(record.hash, record);
    return { record, secret };
  }

  /** Returns whether there was such a key. */
  async revokeKey(keyId: string): Promise<boolean> {
    const record = [...this.#keys.values()].find((key) => key.id === keyId);
    if (record === undefined) return false;
    const atMs = Date.now();
    await this.#store.write({ kind: 'revoke-key', keyId, atMs });
    this.#keys.set(record.hash, { ...record, revokedAtMs: record.revokedAtMs ?? atMs });
    return true;
  }
}

const hashOfKey = (key: string): string => createHash('sha256').update(key).digest('hex');

function guestFrom(address: string): Caller {
  return {
    accountId: 'guest',
    payer: ledgerAccounts.guests,
    flow: `guest:${networkOf(address)}`,
    weight: 1,
    guest: true,
  };
}

/** The part of an address that one household or company shares: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:/i, '');
  if (isIPv4(plain)) return plain;
  if (!isIPv6(plain)) return 'unknown';
  const [head = '', tail] = plain.split('%')[0]?.toLowerCase().split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...zeros, ...right].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
