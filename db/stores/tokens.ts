import type { Kysely } from 'kysely'
import type { Role, Scope, ScopedChange } from '../model/access.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { holdOrganization, type Page, roleOf } from './members.ts'

/** A personal access token as a caller shows it. */
export interface FoundToken {
  readonly id: string
  readonly name: string
  readonly organizationId: string
  readonly scopes: readonly string[]
  /** Epoch milliseconds, null: never. */
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
  readonly person: {
    readonly id: string
    readonly name: string
    readonly email: string
    readonly emailVerified: boolean
    readonly operator: boolean
  }
  /** What the person is in the token's organization now, null: no member any more. */
  readonly role: Role | null
}

export interface Token {
  readonly id: string
  readonly name: string
  readonly userId: string
  readonly email: string
  readonly displayPrefix: string
  readonly scopes: readonly string[]
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  readonly lastUsedAtMs: number | null
  readonly revokedAtMs: number | null
}

export interface NewToken {
  readonly id: string
  readonly userId: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly secretSha256: string
  readonly displayPrefix: string
  readonly expiresAtMs: number
}

export interface TokenStore {
  /**
   * The token of a secret as the database has it now, null when there is none. Also answers revoked and expired ones:
   * the caller decides.
   * @param secretSha256 of the whole secret, lower-case hexadecimal
   */
  findBySecretHash(secretSha256: string): Promise<FoundToken | null>
  /** Notes that they were used, in one statement; a time before the noted one changes nothing. */
  touch(ids: readonly string[], atMs: number): Promise<void>
  /** @returns false when the user is no member of the organization */
  create(change: ScopedChange, token: NewToken): Promise<boolean>
  /** Newest first, ended ones too. @param page userId: whose; null: everybody's */
  list(scope: Scope, page: Page & { readonly userId: string | null }): Promise<readonly Token[]>
  /**
   * Ends a token, everywhere at once. @param which userId: only if it is theirs; null: anybody's
   * @returns false when there is no such token or it has ended already
   */
  revoke(change: ScopedChange, which: { readonly id: string; readonly userId: string | null }): Promise<boolean>
}

export function tokenStore(db: Kysely<Schema>): TokenStore {
  return {
    async findBySecretHash(secretSha256) {
      const row = await db
        .selectFrom('access_tokens as t')
        .innerJoin('users as u', 'u.id', 't.user_id')
        .leftJoin('members as m', (join) =>
          join.onRef('m.organization_id', '=', 't.organization_id').onRef('m.user_id', '=', 't.user_id'),
        )
        .where('t.secret_sha256', '=', secretSha256)
        .select(['t.id', 't.name', 't.organization_id', 't.scopes', 't.expires_at', 't.revoked_at', 'm.role'])
        .select(['u.id as user_id', 'u.name as user_name', 'u.email', 'u.email_verified', 'u.operator'])
        .executeTakeFirst()
      if (row === undefined) return null
      const { email, operator } = row
      return {
        id: row.id,
        name: row.name,
        organizationId: row.organization_id,
        scopes: row.scopes,
        expiresAtMs: row.expires_at?.getTime() ?? null,
        revokedAtMs: row.revoked_at?.getTime() ?? null,
        person: { id: row.user_id, name: row.user_name, email, emailVerified: row.email_verified, operator },
        role: row.role,
      }
    },

    async touch(ids, atMs) {
      if (ids.length === 0) return
      const at = new Date(atMs)
      await db
        .updateTable('access_tokens')
        .set({ last_used_at: at })
        .where('id', 'in', [...ids])
        .where((each) => each.or([each('last_used_at', 'is', null), each('last_used_at', '<', at)]))
        .execute()
    },

    create(change, { id, userId, name, scopes, secretSha256, displayPrefix, expiresAtMs }) {
      return db.transaction().execute(async (trx) => {
        await holdOrganization(trx, change)
        if ((await roleOf(trx, change, userId)) === null) return false
        await trx
          .insertInto('access_tokens')
          .values({
            id,
            organization_id: change.organizationId,
            user_id: userId,
            name,
            secret_sha256: secretSha256,
            display_prefix: displayPrefix,
            scopes: [...scopes],
            created_at: new Date(change.atMs),
            expires_at: new Date(expiresAtMs),
            last_used_at: null,
            revoked_at: null,
          })
          .execute()
        const after = { name, scopes, expires_at: new Date(expiresAtMs).toISOString() }
        await audit(trx, change, { type: 'token', id, before: null, after })
        return true
      })
    },

    async list({ organizationId }, { limit, after, userId }) {
      let query = db
        .selectFrom('access_tokens as t')
        .innerJoin('users as u', 'u.id', 't.user_id')
        .where('t.organization_id', '=', organizationId)
      if (userId !== null) query = query.where('t.user_id', '=', userId)
      if (after !== null) query = query.where('t.id', '<', after)
      const rows = await query
        .select(['t.id', 't.name', 't.user_id as userId', 'u.email', 't.display_prefix as displayPrefix', 't.scopes'])
        .select(['t.created_at', 't.expires_at', 't.last_used_at', 't.revoked_at'])
        .orderBy('t.id', 'desc')
        .limit(limit)
        .execute()
      return rows.map(({ created_at, expires_at, last_used_at, revoked_at, ...row }) => ({
        ...row,
        createdAtMs: created_at.getTime(),
        expiresAtMs: expires_at?.getTime() ?? null,
        lastUsedAtMs: last_used_at?.getTime() ?? null,
        revokedAtMs: revoked_at?.getTime() ?? null,
      }))
    },

    revoke(change, { id, userId }) {
      return db.transaction().execute(async (trx) => {
        let query = trx
          .updateTable('access_tokens')
          .set({ revoked_at: new Date(change.atMs) })
          .where('organization_id', '=', change.organizationId)
          .where('id', '=', id)
          .where('revoked_at', 'is', null)
        if (userId !== null) query = query.where('user_id', '=', userId)
        const revoked = await query.returning(['name', 'user_id', 'scopes']).executeTakeFirst()
        if (revoked === undefined) return false
        const before = { name: revoked.name, user: revoked.user_id, scopes: revoked.scopes }
        await audit(trx, change, { type: 'token', id, before, after: null })
        return true
      })
    },
  }
}
