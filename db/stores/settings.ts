import type { Kysely } from 'kysely'
import type { Schema } from '../schema/index.ts'

/** Names in use. */
export type SettingName =
  | 'default_organization'
  | 'default_project'
  /** SHA-256 hashes of the set-up links' secrets, separated by commas; gone when there is an admin. */
  | 'setup_secrets'

export interface SettingStore {
  /** Null when it was never set. */
  get(name: SettingName): Promise<string | null>
  set(name: SettingName, value: string): Promise<void>
}

export function settingStore(db: Kysely<Schema>): SettingStore {
  return {
    async get(name) {
      const row = await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst()
      return row?.value ?? null
    },
    async set(name, value) {
      await db
        .insertInto('settings')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute()
    },
  }
}
