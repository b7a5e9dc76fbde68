/** `/v1/admin/*`: accounts, keys and credit, for whoever holds the token in the data folder. Not part of the public API. */
import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { failure, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import { NanoSchema } from '@tussah/protocol/money';
import * as v from 'valibot';
import { ledgerAccounts, type Transaction } from '../../core/ledger.ts';
import { StoreError } from '../store/store-error.ts';
import { refuse, type HttpContext } from './context.ts';

const CreateSchema = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(80)),
  weight: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000)), 1),
  creditNano: v.optional(NanoSchema, '0'),
});
const CreditSchema = v.strictObject({
  /** An account id, or `guests`. */
  account: v.string(),
  amountNano: v.pipe(
    NanoSchema,
    v.check((text) => text !== '0', 'nothing'),
  ),
  /** Makes a repeated request harmless. */
  reference: v.pipe(v.string(), v.regex(/^[\w.:-]{1,80}$/)),
});
const KeySchema = v.strictObject({ account: v.string() });

/** Routes behind a guard of their own: it belongs to the routes, since a path can be spelled in many ways. */
export async function adminRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request, reply) => {
      if (!sameToken(request.headers.authorization ?? '', `Bearer ${context.adminToken}`))
        await refuse(reply, failure('forbidden', 'The administration needs the token in the data folder.'));
    });
    addRoutes(guarded, context);
  });
}

function addRoutes(app: FastifyInstance, context: HttpContext): void {
  const { accounts, dispatcher } = context;

  app.post('/v1/admin/accounts', async (request, reply) => {
    const body = v.safeParse(CreateSchema, request.body);
    if (!body.success) return refuse(reply, failure('invalid_request'));
    const account = await accounts.create(body.output.name, body.output.weight);
    const amountNano = BigInt(body.output.creditNano);
    if (amountNano > 0n)
      await credit(context, ledgerAccounts.client(account.id), amountNano, `${account.id}:first`);
    const { record, secret } = await accounts.createKey(account.id);
    return reply.send({ account: account.id, keyId: record.id, key: secret });
  });

  app.get('/v1/admin/accounts', () => ({
    accounts: accounts.list().map((account) => ({
      id: account.id,
      name: account.name,
      weight: account.weight,
      balanceNano: (dispatcher.state.balances.get(ledgerAccounts.client(account.id)) ?? 0n).toString(),
      keys: accounts
        .keysOf(account.id)
        .map(({ id, createdAtMs, revokedAtMs }) => ({ id, createdAtMs, revokedAtMs })),
    })),
  }));

  app.post('/v1/admin/keys', async (request, reply) => {
    const body = v.safeParse(KeySchema, request.body);
    const account = body.success ? accounts.byId(body.output.account) : undefined;
    if (account === undefined) return refuse(reply, failure('not_found', 'There is no such account.'));
    const { record, secret } = await accounts.createKey(account.id);
    return reply.send({ account: account.id, keyId: record.id, key: secret });
  });

  app.delete<{ Params: { id: string } }>('/v1/admin/keys/:id', async (request, reply) => {
    const revoked = await accounts.revokeKey(request.params.id);
    return revoked
      ? reply.send({ revoked: true })
      : refuse(reply, failure('not_found', 'There is no such key.'));
  });

  app.post('/v1/admin/credit', async (request, reply) => {
    const body = v.safeParse(CreditSchema, request.body);
    if (!body.success) return refuse(reply, failure('invalid_request'));
    const { account: name, amountNano, reference } = body.output;
    const account =
      name === 'guests' ? ledgerAccounts.guests : accounts.byId(name) && ledgerAccounts.client(name);
    if (account === undefined) return refuse(reply, failure('not_found', 'There is no such account.'));
    const refusal = await credit(context, account, BigInt(amountNano), reference);
    if (refusal !== undefined) return refuse(reply, refusal);
    return reply.send({ balanceNano: (dispatcher.state.balances.get(account) ?? 0n).toString() });
  });
}

/** Credits an account from development money, once for each reference. */
async function credit(
  { store, dispatcher, now }: HttpContext,
  account: string,
  amountNano: bigint,
  reference: string,
): Promise<Failure<ErrorCode> | undefined> {
  const transaction = developmentCredit(account, amountNano, reference, now());
  try {
    const outcome = await store.write({ kind: 'transaction', transaction });
    if (outcome === 'written') dispatcher.post({ type: 'credited', transaction });
    return undefined;
  } catch (error) {
    const fault = error instanceof StoreError ? error.fault : undefined;
    if (fault === 'conflict')
      return failure('idempotency_key_reused', 'This reference was used for another credit.', 'reference');
    if (fault === 'out-of-range') return failure('invalid_request', 'The sum is too large.', 'amountNano');
    throw error;
  }
}

export const developmentCredit = (
  account: string,
  amountNano: bigint,
  reference: string,
  atMs: number,
): Transaction => ({
  key: `credit:${reference}`,
  kind: 'credit',
  atMs,
  receiptId: null,
  entries: [
    { account: ledgerAccounts.development, amountNano: -amountNano },
    { account, amountNano },
  ],
});

function sameToken(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}
