import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0011-ledger'

const ID = 'text collate "C"'
/** Whole pico-dollars; sums pass what a bigint holds. */
const PICO = 'numeric(40)'

/** The ledger and what calls are charged. */
const STATEMENTS: readonly string[] = [
  'alter table calls add column charged_pico bigint check (charged_pico >= 0), add column charge text',
  'alter table usage_hourly add column charged_pico numeric not null default 0',
  // 10 000 is 1.0.
  `alter table organizations add column credit_multiplier int not null default 10000
    check (credit_multiplier between 0 and 1000000)`,
  `create table model_multipliers (
    provider ${ID} not null,
    model ${ID} not null,
    multiplier int not null check (multiplier between 0 and 1000000),
    updated_at timestamptz not null,
    primary key (provider, model)
  )`,
  // No foreign keys to organizations: books outlive whom they are about.
  `create table ledger_transactions (
    id ${ID} primary key,
    created_at timestamptz not null,
    kind text not null check (kind in ('usage', 'top_up', 'grant', 'correction', 'refund')),
    organization_id ${ID} not null,
    reference ${ID} not null unique,
    note text,
    entries smallint not null check (entries >= 2)
  )`,
  'create index ledger_transactions_by_organization on ledger_transactions (organization_id, created_at, id)',
  `create table ledger_entries (
    transaction_id ${ID} not null references ledger_transactions (id),
    account ${ID} not null,
    amount_pico ${PICO} not null,
    primary key (transaction_id, account)
  )`,
  // What the entries of accounts credits:… add up to, filled to 50 %: a row that is raised again and again stays on its page.
  `create table credit_balances (
    organization_id ${ID} primary key,
    granted_pico ${PICO} not null default 0,
    spent_pico ${PICO} not null default 0
  ) with (fillfactor = 50)`,
  `create function ledger_is_append_only() returns trigger language plpgsql as $$
  begin
    raise exception 'The ledger is append-only: post a correction instead of a % of %', lower(tg_op), tg_table_name
      using errcode = 'restrict_violation';
  end $$`,
  ...['ledger_transactions', 'ledger_entries'].map(
    (table) => `create trigger append_only before update or delete or truncate on ${table}
      for each statement execute function ledger_is_append_only()`,
  ),
  // Looked at when the database's transaction ends: by then all entries are there.
  `create function ledger_sums_to_zero() returns trigger language plpgsql as $$
  declare
    found bigint;
    total numeric;
  begin
    select count(*), coalesce(sum(amount_pico), 0) into found, total from ledger_entries where transaction_id = new.id;
    if found <> new.entries or total <> 0 then
      raise exception 'The % entries of the ledger transaction % must sum to zero: % are there and sum to %',
        new.entries, new.id, found, total using errcode = 'check_violation';
    end if;
    return null;
  end $$`,
  `create constraint trigger sums_to_zero after insert on ledger_transactions
    deferrable initially deferred for each row execute function ledger_sums_to_zero()`,
  // What is posted is closed: nothing can be added to it, be it in balance or not.
  `create function ledger_is_closed() returns trigger language plpgsql as $$
  begin
    if exists (
      select from (select distinct transaction_id from added) as a join ledger_transactions as t on t.id = a.transaction_id
      where t.entries < (select count(*) from ledger_entries as e where e.transaction_id = t.id)
    ) then
      raise exception 'The ledger is append-only: post another transaction instead of more entries of one that is there'
        using errcode = 'restrict_violation';
    end if;
    return null;
  end $$`,
  `create trigger closed after insert on ledger_entries referencing new table as added
    for each statement execute function ledger_is_closed()`,
  // Posted re-ratings: what a later one is compared with. Their order is that of their numbers.
  `create table rerates (
    id ${ID} primary key,
    number int not null unique generated always as identity,
    created_at timestamptz not null,
    provider ${ID} not null,
    model ${ID} not null,
    from_at timestamptz not null,
    to_at timestamptz not null,
    price_id ${ID} not null references prices (id),
    reason text not null
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
