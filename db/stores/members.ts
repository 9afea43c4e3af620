import type { Kysely } from 'kysely'
import type { Role, Scope, ScopedChange } from '../model/access.ts'
import { type MemberRefusal, refusalOfChange } from '../model/members.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'

export interface Member {
  readonly userId: string
  readonly email: string
  readonly name: string
  readonly role: Role
  readonly joinedAtMs: number
}

/** Where somebody belongs. */
export interface Membership {
  readonly organizationId: string
  readonly role: Role
}

/** Up to `limit` rows of a list, from the one after the key `after` on; null: from its start. */
export interface Page {
  readonly limit: number
  readonly after: string | null
}

/** Who changes whom: both are users' ids. */
export interface MemberTarget {
  readonly byUserId: string
  readonly userId: string
}

export interface MemberStore {
  /** What somebody is in an organization, or in the one they joined first when none is named; null: nothing. */
  membershipOf(userId: string, organizationId: string | null): Promise<Membership | null>
  /** By user id. */
  list(scope: Scope, page: Page): Promise<readonly Member[]>
  /**
   * Gives a member a role. Roles are read and held while it is decided (see db/model/members.ts): of any number of
   * changes at once, each sees what those before it did. Giving the role that is there already changes nothing.
   * @returns the member as it is now, or why not
   */
  setRole(change: ScopedChange, target: MemberTarget & { readonly role: Role }): Promise<Member | MemberRefusal>
  /**
   * Ends a membership, and with it every access token that the person has made in this organization; the same as
   * leaving when both ids are one. @returns null when done, or why not
   */
  remove(change: ScopedChange, target: MemberTarget): Promise<MemberRefusal | null>
}

export function memberStore(db: Kysely<Schema>): MemberStore {
  return {
    async membershipOf(userId, organizationId) {
      let query = db.selectFrom('members').where('user_id', '=', userId)
      if (organizationId !== null) query = query.where('organization_id', '=', organizationId)
      const row = await query
        .select(['organization_id', 'role'])
        .orderBy('created_at')
        .orderBy('organization_id')
        .limit(1)
        .executeTakeFirst()
      return row === undefined ? null : { organizationId: row.organization_id, role: row.role }
    },

    async list(scope, page) {
      let query = selectMembers(db, scope)
      if (page.after !== null) query = query.where('m.user_id', '>', page.after)
      const rows = await query.orderBy('m.user_id').limit(page.limit).execute()
      return rows.map(memberOf)
    },

    setRole(change, { role, ...target }) {
      return db.transaction().execute(async (trx) => {
        const now = await decide(trx, change, { ...target, to: role })
        if (typeof now === 'string' || now.role === role) return now
        await ofMember(trx.updateTable('members').set({ role }), change, target.userId).execute()
        await audit(trx, change, {
          type: 'member',
          id: target.userId,
          before: { role: now.role },
          after: { role, email: now.email },
        })
        return { ...now, role }
      })
    },

    remove(change, target) {
      return db.transaction().execute(async (trx) => {
        const now = await decide(trx, change, { ...target, to: null })
        if (typeof now === 'string') return now
        const { userId } = target
        await ofMember(trx.deleteFrom('members'), change, userId).execute()
        // Else they would work again should the person ever come back.
        const tokens = await trx
          .updateTable('access_tokens')
          .set({ revoked_at: new Date(change.atMs) })
          .where('organization_id', '=', change.organizationId)
          .where('user_id', '=', userId)
          .where('revoked_at', 'is', null)
          .returning('id')
          .execute()
        const before = { role: now.role, email: now.email, revoked_tokens: tokens.map(({ id }) => id) }
        await audit(trx, change, { type: 'member', id: userId, before, after: null })
        return null
      })
    },
  }
}

/**
 * Holds an organization until the transaction's end: who is in it, or may come in, changes one change after the other.
 * @returns false when there is no such organization
 */
export async function holdOrganization(trx: Kysely<Schema>, { organizationId }: Scope): Promise<boolean> {
  const row = await trx
    .selectFrom('organizations')
    .select('id')
    .where('id', '=', organizationId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row !== undefined
}

/** Null: no member. Certain until the transaction's end only once the organization is held. */
export async function roleOf(db: Kysely<Schema>, scope: Scope, userId: string): Promise<Role | null> {
  const row = await db
    .selectFrom('members')
    .select('role')
    .where('organization_id', '=', scope.organizationId)
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return row?.role ?? null
}

async function decide(
  trx: Kysely<Schema>,
  scope: Scope,
  { byUserId, userId, to }: MemberTarget & { readonly to: Role | null },
): Promise<Member | MemberRefusal> {
  await holdOrganization(trx, scope)
  const row = await selectMembers(trx, scope).where('m.user_id', '=', userId).executeTakeFirst()
  if (row === undefined) return 'not_found'
  const actor = byUserId === userId ? row.role : await roleOf(trx, scope, byUserId)
  const owners = await trx
    .selectFrom('members')
    .select('user_id')
    .where('organization_id', '=', scope.organizationId)
    .where('role', '=', 'owner')
    .limit(2)
    .execute()
  const change = { actor, target: row.role, to, ofItself: byUserId === userId, owners: owners.length }
  return refusalOfChange(change) ?? memberOf(row)
}

function selectMembers(db: Kysely<Schema>, { organizationId }: Scope) {
  return db
    .selectFrom('members as m')
    .innerJoin('users as u', 'u.id', 'm.user_id')
    .where('m.organization_id', '=', organizationId)
    .select(['m.user_id', 'm.role', 'm.created_at', 'u.email', 'u.name'])
}

function memberOf(row: { user_id: string; role: Role; created_at: Date; email: string; name: string }): Member {
  return { userId: row.user_id, email: row.email, name: row.name, role: row.role, joinedAtMs: row.created_at.getTime() }
}

/** Restricts a change of `members` to one of them. */
function ofMember<Query extends { where(column: 'organization_id' | 'user_id', operator: '=', id: string): Query }>(
  query: Query,
  { organizationId }: Scope,
  userId: string,
): Query {
  return query.where('organization_id', '=', organizationId).where('user_id', '=', userId)
}
