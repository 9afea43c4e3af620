import { type Kysely, type Selectable, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import { type AdminCredential, MAX_ADMIN_CREDENTIALS } from '../model/reconcile.ts'
import type { Schema } from '../schema/index.ts'
import type { AdminCredentialsTable } from '../schema/reconcile.ts'
import { audit } from './audit-log.ts'

export interface NewAdminCredential {
  readonly id: string
  readonly provider: string
  readonly name: string
  readonly sealed: string
  readonly hint: string
  readonly baseUrl: string | null
  readonly onlyProjects: readonly string[]
  readonly check: AdminCheck
}

/** What using it has shown. */
export interface AdminCheck {
  readonly atMs: number
  /** `ok`, or what the provider said. */
  readonly result: string
}

export type SealedAdminCredential = AdminCredential & { readonly sealed: string }

/** The platform's keys to providers' usage and costs, sealed before they come here. The line never loads them. */
export interface AdminCredentialStore {
  /** By provider, the oldest first. @param provider null: all */
  list(provider: string | null): Promise<readonly SealedAdminCredential[]>
  find(id: string): Promise<SealedAdminCredential | null>
  /** @returns false when there are MAX_ADMIN_CREDENTIALS already */
  create(change: Change, credential: NewAdminCredential): Promise<boolean>
  /** @returns false when there was none */
  delete(change: Change, id: string): Promise<boolean>
  /** Notes how a use of it went. @returns the credential as it is now, null when there is none */
  noteCheck(id: string, check: AdminCheck): Promise<AdminCredential | null>
}

export function adminCredentialStore(db: Kysely<Schema>): AdminCredentialStore {
  return {
    async list(provider) {
      let query = db.selectFrom('admin_credentials').selectAll().orderBy('provider').orderBy('id')
      if (provider !== null) query = query.where('provider', '=', provider)
      return (await query.execute()).map(withSealed)
    },

    async find(id) {
      const row = await db.selectFrom('admin_credentials').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : withSealed(row)
    },

    create(change, { id, provider, name, sealed, hint, baseUrl, onlyProjects, check }) {
      return db.transaction().execute(async (trx) => {
        // One at a time: two that count at once would both find room.
        await sql`select pg_advisory_xact_lock(hashtextextended('admin-credentials', 0))`.execute(trx)
        const { count } = await trx
          .selectFrom('admin_credentials')
          .select((select) => select.fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow()
        if (Number(count) >= MAX_ADMIN_CREDENTIALS) return false
        await trx
          .insertInto('admin_credentials')
          .values({
            ...{ id, provider, name, sealed, hint, base_url: baseUrl, only_projects: [...onlyProjects] },
            ...{ checked_at: new Date(check.atMs), check_result: check.result },
            ...{ created_at: new Date(change.atMs), updated_at: new Date(change.atMs) },
          })
          .execute()
        const after = { provider, name, base_url: baseUrl, only_projects: onlyProjects }
        await audit(trx, change, { type: 'admin_credential', id, before: null, after })
        return true
      })
    },

    delete(change, id) {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .deleteFrom('admin_credentials')
          .where('id', '=', id)
          .returning(['provider', 'name'])
          .executeTakeFirst()
        if (row === undefined) return false
        await audit(trx, change, { type: 'admin_credential', id, before: { ...row }, after: null })
        return true
      })
    },

    async noteCheck(id, { atMs, result }) {
      const row = await db
        .updateTable('admin_credentials')
        .set({ checked_at: new Date(atMs), check_result: result })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      return row === undefined ? null : shown(row)
    },
  }
}

function withSealed(row: Selectable<AdminCredentialsTable>): SealedAdminCredential {
  return { ...shown(row), sealed: row.sealed }
}

function shown(row: Selectable<AdminCredentialsTable>): AdminCredential {
  return {
    id: row.id,
    provider: row.provider,
    name: row.name,
    hint: row.hint,
    baseUrl: row.base_url,
    onlyProjects: row.only_projects,
    checkedAtMs: row.checked_at?.getTime() ?? null,
    checkResult: row.check_result,
    createdAtMs: row.created_at.getTime(),
  }
}
