import type { Kysely } from 'kysely'
import { type Change, type Role, type Scope, type ScopedChange, scopeOf } from '../model/access.ts'
import { type MemberRefusal, refusalOfRole } from '../model/members.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { holdOrganization, type Page, roleOf } from './members.ts'

export interface Invitation {
  readonly id: string
  readonly organizationId: string
  readonly organizationName: string
  /** Lower-case. */
  readonly email: string
  readonly role: Role
  /** A user's id. */
  readonly invitedBy: string
  /** Null: they have no account any more. */
  readonly inviterEmail: string | null
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly acceptedAtMs: number | null
  readonly revokedAtMs: number | null
}

export interface NewInvitation {
  readonly id: string
  readonly email: string
  readonly role: Role
  readonly secretSha256: string
  /** The user who invites. */
  readonly byUserId: string
  readonly expiresAtMs: number
}

export interface Acceptance {
  readonly secretSha256: string
  readonly userId: string
  /** Lower-case, and theirs for sure. */
  readonly email: string
}

export type AcceptRefusal =
  | 'not_found'
  | 'wrong_email'
  | 'used'
  | 'revoked'
  | 'expired'
  | 'already_member'
  | 'inviter_gone'

export interface InvitationStore {
  /**
   * Invites somebody; an open invitation of the same address is revoked by it.
   * @returns null when done, or why not
   */
  create(change: ScopedChange, invitation: NewInvitation): Promise<MemberRefusal | 'already_member' | null>
  /** Newest first, ended ones too. */
  list(scope: Scope, page: Page): Promise<readonly Invitation[]>
  /** @returns false when there is no such open invitation */
  revoke(change: ScopedChange, id: string): Promise<boolean>
  /** Whatever has become of it; null for a secret that there is no invitation of. */
  findBySecretHash(secretSha256: string): Promise<Invitation | null>
  /**
   * Makes somebody a member, once: of any number of acceptances at the same time one succeeds. The inviter must still
   * be one who may give that role.
   */
  accept(
    change: Change,
    acceptance: Acceptance,
  ): Promise<{ readonly organizationId: string; readonly role: Role } | AcceptRefusal>
}

export function invitationStore(db: Kysely<Schema>): InvitationStore {
  return {
    create(change, { id, email, role, secretSha256, byUserId, expiresAtMs }) {
      return db.transaction().execute(async (trx) => {
        if (!(await holdOrganization(trx, change))) return 'not_found'
        const refusal = refusalOfRole(await roleOf(trx, change, byUserId), role)
        if (refusal !== null) return refusal
        if (await isMember(trx, change, email)) return 'already_member'
        const replaced = await revokeOpen(trx, change).where('email', '=', email).returning('id').execute()
        await trx
          .insertInto('invitations')
          .values({
            id,
            organization_id: change.organizationId,
            email,
            role,
            secret_sha256: secretSha256,
            invited_by: byUserId,
            created_at: new Date(change.atMs),
            expires_at: new Date(expiresAtMs),
            accepted_at: null,
            revoked_at: null,
          })
          .execute()
        await audit(trx, change, {
          type: 'invitation',
          id,
          before: replaced.length === 0 ? null : { replaced: replaced.map((one) => one.id) },
          after: { email, role, expires_at: new Date(expiresAtMs).toISOString() },
        })
        return null
      })
    },

    async list({ organizationId }, { limit, after }) {
      let query = select(db).where('i.organization_id', '=', organizationId)
      if (after !== null) query = query.where('i.id', '<', after)
      const rows = await query.orderBy('i.id', 'desc').limit(limit).execute()
      return rows.map(invitationOf)
    },

    revoke(change, id) {
      return db.transaction().execute(async (trx) => {
        await holdOrganization(trx, change)
        const revoked = await revokeOpen(trx, change)
          .where('id', '=', id)
          .returning(['email', 'role'])
          .executeTakeFirst()
        if (revoked === undefined) return false
        await audit(trx, change, { type: 'invitation', id, before: revoked, after: null })
        return true
      })
    },

    async findBySecretHash(secretSha256) {
      const row = await select(db).where('i.secret_sha256', '=', secretSha256).executeTakeFirst()
      return row === undefined ? null : invitationOf(row)
    },

    accept(change, { secretSha256, userId, email }) {
      return db.transaction().execute(async (trx) => {
        const found = await trx
          .selectFrom('invitations')
          .select('organization_id')
          .where('secret_sha256', '=', secretSha256)
          .executeTakeFirst()
        if (found === undefined) return 'not_found'
        const scope = scopeOf(found.organization_id)
        await holdOrganization(trx, scope)
        const row = await select(trx).where('i.secret_sha256', '=', secretSha256).executeTakeFirst()
        if (row === undefined) return 'not_found'
        const invitation = invitationOf(row)
        if (invitation.email !== email) return 'wrong_email'
        if (invitation.acceptedAtMs !== null) return 'used'
        if (invitation.revokedAtMs !== null) return 'revoked'
        if (invitation.expiresAtMs <= change.atMs) return 'expired'
        if ((await roleOf(trx, scope, userId)) !== null) return 'already_member'
        const { id, role, organizationId, invitedBy } = invitation
        if (refusalOfRole(await roleOf(trx, scope, invitedBy), role) !== null) return 'inviter_gone'
        const at = new Date(change.atMs)
        await trx
          .insertInto('members')
          .values({ organization_id: organizationId, user_id: userId, role, created_at: at })
          .execute()
        await trx.updateTable('invitations').set({ accepted_at: at }).where('id', '=', id).execute()
        const after = { role, email, invitation: id }
        await audit(trx, { ...change, ...scope }, { type: 'member', id: userId, before: null, after })
        return { organizationId, role }
      })
    },
  }

  /** Revokes those that are neither used nor revoked, expired or not; which of them is for the caller to say. */
  function revokeOpen(trx: Kysely<Schema>, change: ScopedChange) {
    return trx
      .updateTable('invitations')
      .set({ revoked_at: new Date(change.atMs) })
      .where('organization_id', '=', change.organizationId)
      .where('accepted_at', 'is', null)
      .where('revoked_at', 'is', null)
  }
}

async function isMember(trx: Kysely<Schema>, { organizationId }: Scope, email: string): Promise<boolean> {
  const row = await trx
    .selectFrom('members as m')
    .innerJoin('users as u', 'u.id', 'm.user_id')
    .where('m.organization_id', '=', organizationId)
    .where('u.email', '=', email)
    .select('u.id')
    .executeTakeFirst()
  return row !== undefined
}

function select(db: Kysely<Schema>) {
  return db
    .selectFrom('invitations as i')
    .innerJoin('organizations as o', 'o.id', 'i.organization_id')
    .leftJoin('users as u', 'u.id', 'i.invited_by')
    .select(['i.id', 'i.organization_id as organizationId', 'o.name as organizationName', 'i.email', 'i.role'])
    .select(['i.invited_by as invitedBy', 'u.email as inviterEmail'])
    .select(['i.created_at', 'i.expires_at', 'i.accepted_at', 'i.revoked_at'])
}

type Row = Omit<Invitation, 'createdAtMs' | 'expiresAtMs' | 'acceptedAtMs' | 'revokedAtMs'> & {
  readonly created_at: Date
  readonly expires_at: Date
  readonly accepted_at: Date | null
  readonly revoked_at: Date | null
}

function invitationOf({ created_at, expires_at, accepted_at, revoked_at, ...row }: Row): Invitation {
  return {
    ...row,
    createdAtMs: created_at.getTime(),
    expiresAtMs: expires_at.getTime(),
    acceptedAtMs: accepted_at?.getTime() ?? null,
    revokedAtMs: revoked_at?.getTime() ?? null,
  }
}
