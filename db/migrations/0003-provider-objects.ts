import { type Kysely, sql } from 'kysely'

export const name = '0003-provider-objects'

const ID = 'text collate "C"'

const STATEMENTS = [
  `create table provider_objects (
    provider ${ID} not null,
    id ${ID} not null,
    project_id ${ID} not null,
    created_at timestamptz not null,
    primary key (provider, id, project_id)
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
