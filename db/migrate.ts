import { type Kysely, sql } from 'kysely'
import { MIGRATIONS, type Migration } from './migrations/index.ts'
import type { Schema } from './schema/index.ts'

/** The database was migrated by a version that this one doesn't know. */
export class NewerSchemaError extends Error {
  constructor(unknown: string) {
    super(`The database has the migration ${unknown}, which this version doesn't know; start a newer WatchLLM on it`)
    this.name = 'NewerSchemaError'
  }
}

/** Any number will do, as long as every version uses the same. */
const MIGRATION_LOCK = 7_402_351_001

/**
 * Brings the schema to what this version knows, in one transaction. Of several instances that start at once one migrates
 * and the others wait for it; when a migration fails, nothing of it stays.
 * @returns names of the migrations that were run now
 * @throws NewerSchemaError when the database is ahead of this version
 */
export function migrate(db: Kysely<Schema>, migrations: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  return db.transaction().execute(async (trx) => {
    await sql`set local statement_timeout = 0`.execute(trx)
    await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`.execute(trx)
    // Asked first, because `if not exists` needs the right to create and says so in a notice each time.
    const table = await sql<{ there: boolean }>`select to_regclass('migrations') is not null as there`.execute(trx)
    if (table.rows[0]?.there !== true) {
      await sql`create table migrations (name text primary key, applied_at timestamptz not null default now())`.execute(
        trx,
      )
    }
    const applied = (await sql<{ name: string }>`select name from migrations order by name`.execute(trx)).rows
    const known = new Set(migrations.map((one) => one.name))
    const unknown = applied.find((one) => !known.has(one.name))
    if (unknown !== undefined) throw new NewerSchemaError(unknown.name)
    const done = new Set(applied.map((one) => one.name))
    const due = migrations.filter((one) => !done.has(one.name))
    for (const migration of due) {
      await migration.up(trx as unknown as Kysely<unknown>)
      await sql`insert into migrations (name) values (${migration.name})`.execute(trx)
    }
    return due.map((one) => one.name)
  })
}
