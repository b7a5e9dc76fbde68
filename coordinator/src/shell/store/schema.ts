/** The rows of the database, for typed queries. The tables themselves, with their constraints: migrations.ts. */
import type { ColumnType } from 'kysely';

/** Integers come as bigint from every query and are given as number or bigint. */
type Int = ColumnType<bigint, number | bigint, number | bigint>;
type NullableInt = ColumnType<bigint | null, number | bigint | null, number | bigint | null>;

export interface Tables {
  readonly schema_migrations: { readonly number: Int; readonly name: string; readonly applied_at_ms: Int };
  readonly accounts: {
    readonly id: string;
    readonly name: string;
    readonly weight: Int;
    readonly created_at_ms: Int;
  };
  readonly api_keys: {
    readonly id: string;
    readonly hash: string;
    readonly account_id: string;
    readonly created_at_ms: Int;
    readonly revoked_at_ms: NullableInt;
  };
  readonly contributors: {
    readonly public_key: string;
    readonly wallet: string | null;
    readonly jobs_done: Int;
    readonly jobs_failed: Int;
    readonly tokens: Int;
    readonly tokens_per_second: number | null;
  };
  readonly receipts: {
    readonly id: string;
    readonly job_id: string;
    readonly created_at_ms: Int;
    readonly body: string;
  };
  readonly transactions: {
    readonly id: Int;
    readonly key: string;
    readonly kind: string;
    readonly at_ms: Int;
    readonly receipt_id: string | null;
  };
  readonly entries: { readonly transaction_id: Int; readonly account: string; readonly nano: Int };
  readonly balances: { readonly account: string; readonly nano: Int };
  readonly idempotency: {
    readonly account_id: string;
    readonly key: string;
    readonly request_hash: string;
    readonly job_id: string;
    readonly receipt_id: string;
    readonly at_ms: Int;
  };
  readonly checkpoints: { readonly job_id: string; readonly body: string; readonly sha256: string };
  readonly directory: { readonly position: Int; readonly entry: string };
  readonly totals: { readonly id: Int; readonly answered: Int; readonly completion_tokens: Int };
}
