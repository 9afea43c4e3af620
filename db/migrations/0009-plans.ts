import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0009-plans'

/** Plans as data. */
const STATEMENTS: readonly string[] = [
  // Each row is a whole plan, as a file has it; it goes before the plan of its id in presets and files.
  `create table plans (
    id text collate "C" primary key,
    content jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  // What calls over the platform's accounts are paid with.
  "alter table organizations add column pays text not null default 'none' check (pays in ('none', 'credits'))",
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
