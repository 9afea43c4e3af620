import { type Kysely, sql } from 'kysely'

export const name = '0002-responses'

const ID = 'text collate "C"'

const STATEMENTS = [
  // Texts, not jsonb: they are sealed, and JSON may hold what jsonb can't.
  `create table responses (
    id ${ID} primary key,
    project_id ${ID} not null,
    organization_id ${ID} not null,
    key_id ${ID} not null,
    conversation ${ID},
    previous_id ${ID},
    model text not null,
    status text not null,
    input text not null,
    answer text not null,
    item_ids text[] not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    alive_at timestamptz
  )`,
  // Sealed texts don't shrink: trying costs more than the write.
  'alter table responses alter column input set storage external, alter column answer set storage external',
  'create index responses_by_item on responses using gin (item_ids)',
  'create index responses_by_expiry on responses (expires_at)',
  'create index responses_by_conversation on responses (conversation, created_at) where conversation is not null',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
