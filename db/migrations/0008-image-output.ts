import { type Kysely, sql } from 'kysely'

export const name = '0008-image-output'

/** Tokens of pictures that models made, which cost many times what text does. Calls of before counted them as text. */
const STATEMENTS = [
  'alter table calls add column usage_image_output int not null default 0',
  'alter table usage_hourly add column usage_image_output bigint not null default 0',
  'alter type call_usage_json add attribute "imageOutput" int',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
