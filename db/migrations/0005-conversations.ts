import { type Kysely, sql } from 'kysely'

export const name = '0005-conversations'

const ID = 'text collate "C"'

const STATEMENTS = [
  // Texts, not jsonb: they are sealed, and JSON may hold what jsonb can't.
  `create table conversations (
    id ${ID} primary key,
    project_id ${ID} not null,
    organization_id ${ID} not null,
    metadata text not null,
    next_position bigint not null default 0,
    bytes bigint not null default 0,
    created_at timestamptz not null
  )`,
  'create index conversations_by_project on conversations (project_id)',
  `create table conversation_items (
    conversation_id ${ID} not null references conversations (id) on delete cascade,
    position bigint not null,
    id ${ID} not null,
    added_by ${ID},
    item text not null,
    bytes bigint not null,
    created_at timestamptz not null,
    primary key (conversation_id, position),
    unique (conversation_id, id)
  )`,
  // Sealed texts don't shrink: trying costs more than the write.
  'alter table conversation_items alter column item set storage external',
  'create index conversation_items_by_id on conversation_items (id)',
  // What a response has read of its conversation: the items before that position.
  'alter table responses add column conversation_up_to bigint',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
