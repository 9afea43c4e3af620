import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0014-reconcile'

const ID = 'text collate "C"'
/** Whole pico-dollars; sums pass what a bigint holds. */
const PICO = 'numeric(40)'

/** What both sides say of a model's day; null: a provider doesn't say. */
const SIDES = ['ours', 'theirs'].flatMap((side) => [
  ...['requests', 'input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output'].map(
    (counter) => `${side}_${counter} bigint`,
  ),
  `${side}_cost_pico ${PICO}`,
])

/** Periodic jobs of all instances, and what providers say they have charged. */
const STATEMENTS: readonly string[] = [
  // One row a job: who takes it by one update runs it.
  `create table job_runs (
    name ${ID} primary key,
    token ${ID} not null,
    ran_at timestamptz not null,
    until timestamptz not null,
    next_at timestamptz not null,
    failures int not null default 0,
    error text
  )`,
  // Keys that read a provider's usage and costs: never used for calls.
  `create table admin_credentials (
    id ${ID} primary key,
    provider ${ID} not null,
    name text not null,
    sealed text not null,
    hint text not null,
    base_url text,
    only_projects text[] not null default '{}',
    checked_at timestamptz,
    check_result text,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  'create index admin_credentials_by_provider on admin_credentials (provider, id)',
  // One comparison of one day with one provider. What is compared again gets a new row; the old one is history.
  `create table reconciliations (
    id ${ID} primary key,
    provider ${ID} not null,
    day ${ID} not null check (day ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
    latest boolean not null,
    created_at timestamptz not null,
    created_by text not null,
    tolerance_ppm int not null check (tolerance_ppm >= 0),
    status text not null check (status in ('ok', 'off')),
    models int not null,
    models_off int not null,
    ${SIDES.join(', ')}
  )`,
  'create unique index reconciliations_latest on reconciliations (provider, day) where latest',
  'create index reconciliations_by_provider on reconciliations (provider, id)',
  `create table reconciliation_rows (
    reconciliation_id ${ID} not null references reconciliations (id) on delete cascade,
    model ${ID} not null,
    status text not null check (status in ('ok', 'off', 'missing_ours', 'missing_theirs')),
    ${SIDES.join(', ')},
    primary key (reconciliation_id, model)
  )`,
  // What went with projects' own accounts is taken off the hourly sums, which don't tell it apart.
  `create index calls_with_own_accounts on calls (provider, created_at)
    where charge is not null and charged_pico is null`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
