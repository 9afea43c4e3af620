import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0014-reconcile'

/** What providers say they charged. */
const STATEMENTS: readonly string[] = []

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
