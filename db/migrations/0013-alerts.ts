import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0013-alerts'

/** Alert rules, what fired, and deliveries. */
const STATEMENTS: readonly string[] = []

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
