import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0015-idempotency'

const ID = 'text collate "C"'

/** Answers kept for their idempotency keys. */
const STATEMENTS: readonly string[] = [
  `create table idempotency_keys (
    id ${ID} primary key,
    project_id ${ID} not null,
    fingerprint ${ID} not null,
    request_id ${ID} not null,
    answered boolean not null,
    head text,
    body text,
    alive_at timestamptz not null,
    expires_at timestamptz not null
  )`,
  // Sealed texts don't shrink: trying costs more than the write.
  'alter table idempotency_keys alter column body set storage external',
  'create index idempotency_keys_by_expiry on idempotency_keys (expires_at)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
