import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0010-budgets'

const ID = 'text collate "C"'

const STATEMENTS: readonly string[] = [
  `create table budgets (
    id ${ID} primary key,
    organization_id ${ID} not null references organizations (id) on delete cascade,
    project_id ${ID} not null references projects (id) on delete cascade,
    key_id ${ID} references api_keys (id) on delete cascade,
    what text not null check (what in ('requests', 'tokens', 'spend')),
    period text not null check (period in ('day', 'week', 'month', 'total')),
    anchor_at timestamptz,
    amount bigint not null check (amount > 0),
    hard boolean not null,
    generation int not null default 0,
    created_by ${ID},
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  'create index budgets_by_owner on budgets (project_id, key_id)',
  // What a day may cost with the platform's accounts at a provider, and whether calls are held up there.
  `create table provider_limits (
    provider ${ID} primary key,
    stop_nano bigint check (stop_nano > 0),
    stop_free_until timestamptz,
    paused_at timestamptz,
    paused_reason text,
    updated_at timestamptz not null,
    check ((paused_at is null) = (paused_reason is null))
  )`,
  // What counts against spending limits, and what the platform's own accounts were asked for. The calls of before were
  // charged to nobody, and nothing tells whose account they went with.
  `alter table usage_hourly add column spend_pico numeric not null default 0,
    add column platform_pico numeric not null default 0`,
  'update usage_hourly set spend_pico = cost_pico, platform_pico = cost_pico',
  'create index usage_hourly_by_provider on usage_hourly (provider, hour)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
