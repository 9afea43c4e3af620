import { type Kysely, sql } from 'kysely'

export const name = '0018-tries'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table calls add column tries text').execute(db)
}
