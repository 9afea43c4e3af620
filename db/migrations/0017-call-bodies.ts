import { type Kysely, sql } from 'kysely'

export const name = '0017-call-bodies'

const ID = 'text collate "C"'

const side = (name: 'request' | 'answer'): string => `
    ${name} text,
    ${name}_type text,
    ${name}_bytes bigint not null,
    ${name}_truncated boolean not null,
    ${name}_redacted boolean not null`

/** What was said in calls, of the projects that have it kept. */
const STATEMENTS: readonly string[] = [
  // No foreign key to the call: its row comes by another way, and may come later.
  `create table call_bodies (
    call_id ${ID} primary key,
    project_id ${ID} not null references projects (id) on delete cascade,
    organization_id ${ID} not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    endpoint text not null,
    model text not null,
    pinned text,
    stream boolean not null,
    ${side('request')},
    ${side('answer')}
  )`,
  // Sealed texts don't shrink: trying costs more than the write.
  'alter table call_bodies alter column request set storage external, alter column answer set storage external',
  'create index call_bodies_by_expiry on call_bodies (expires_at)',
  'create index call_bodies_by_project on call_bodies (project_id)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
