import { randomBytes } from 'node:crypto'
import type { Role } from '../../db/model/access.ts'
import { credentialContext } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import { TOKEN_SCOPES, type TokenScope } from '../../server/console/access.ts'
import type { Person } from '../../server/deps.ts'
import { sha256 } from '../../server/directory.ts'
import type { As, ConsoleApp } from '../helpers/console.ts'

/** One organization with everybody and everything in it that a procedure could be about. */
export interface Stage {
  readonly house: ConsoleApp
  readonly organizationId: string
  readonly people: Readonly<Record<Role, { readonly person: Person; readonly as: As }>>
  /** A member that no caller is. */
  readonly spareUserId: string
  readonly projectId: string
  readonly keyId: string
  readonly key: As
  readonly tokenId: string
  readonly invitationId: string
  readonly credentialId: string
  /** Makes one; a platform may have only so many. */
  platformCredential(): Promise<string>
  /** An open invitation into some other organization. */
  invite(email: string): Promise<string>
  token(scopes: readonly TokenScope[], more?: { expiresAtMs?: number; revokedAtMs?: number }): Promise<As>
}

export async function createStage(house: ConsoleApp): Promise<Stage> {
  const organizationId = await house.organization({ name: 'Staged' })
  const [viewer, member, admin, owner, otherOwner, spare] = [
    await house.signedIn(organizationId, 'viewer'),
    await house.signedIn(organizationId, 'member'),
    await house.signedIn(organizationId, 'admin'),
    await house.signedIn(organizationId, 'owner'),
    await house.signedIn(organizationId, 'owner'),
    await house.signedIn(organizationId, 'viewer'),
  ]
  const projectId = await house.project(organizationId)
  const key = await house.key(projectId)
  const personId = owner.person.id
  const token = await house.token({ organizationId, personId, scopes: ['organization:read'] })
  return {
    house,
    organizationId,
    people: { viewer, member, admin, owner },
    spareUserId: spare.person.id,
    projectId,
    keyId: key.id,
    key: key.as,
    tokenId: token.id,
    invitationId: (await invitation(house, { organizationId, email: 'a@example.com', invitedBy: personId })).id,
    credentialId: await credential(house, { organizationId, projectId }),
    platformCredential: () => credential(house, { organizationId: null, projectId: null }),
    async invite(email) {
      const other = await house.organization()
      const invitedBy = otherOwner.person.id
      await house.join(other, invitedBy, 'owner')
      return (await invitation(house, { organizationId: other, email, invitedBy })).secret
    },
    async token(scopes, more = {}) {
      return (await house.token({ organizationId, personId, scopes, ...more })).as
    },
  }
}

/** All scopes but those of one noun. */
export function scopesWithout(scope: TokenScope): TokenScope[] {
  const noun = scope.slice(0, scope.indexOf(':') + 1)
  return TOKEN_SCOPES.filter((one) => !one.startsWith(noun))
}

interface NewInvitation {
  readonly organizationId: string
  readonly email: string
  readonly invitedBy: string
}

async function invitation({ database }: ConsoleApp, { organizationId, email, invitedBy }: NewInvitation) {
  const secret = `lgw_inv_${randomBytes(32).toString('base64url')}`
  const id = makeId('inv', Date.now(), randomBytes(16))
  const times = { created_at: new Date(), expires_at: new Date(Date.now() + 3_600_000) }
  await database.database.db
    .insertInto('invitations')
    .values({
      ...{ id, email, ...times, role: 'member', organization_id: organizationId, invited_by: invitedBy },
      ...{ secret_sha256: sha256(secret), accepted_at: null, revoked_at: null },
    })
    .execute()
  return { id, secret }
}

async function credential(
  { control, database }: ConsoleApp,
  of: { readonly organizationId: string | null; readonly projectId: string | null },
): Promise<string> {
  const id = makeId('crd', Date.now(), randomBytes(16))
  await database.database.db
    .insertInto('provider_credentials')
    .values({
      ...{ id, organization_id: of.organizationId, project_id: of.projectId, provider: 'openai', name: 'A key' },
      ...{ sealed: control.vault.seal('sk-staged-0123456789', credentialContext(id)), hint: '6789', weight: 1 },
      ...{ base_url: null, version: null, checked_at: null, check_result: null },
      ...{ created_at: new Date(), updated_at: new Date() },
    })
    .execute()
  return id
}

/** Rows of an organization in every table that a procedure may change, but for when something was last used. */
export async function contentOf({ database }: ConsoleApp, organizationId: string): Promise<string> {
  const { db } = database.database
  const own = 'organization_id'
  const found = await Promise.all([
    db.selectFrom('organizations').selectAll().where('id', '=', organizationId).execute(),
    db.selectFrom('members').selectAll().where(own, '=', organizationId).orderBy('user_id').execute(),
    db.selectFrom('invitations').selectAll().where(own, '=', organizationId).orderBy('id').execute(),
    db.selectFrom('access_tokens').selectAll().where(own, '=', organizationId).orderBy('id').execute(),
    db.selectFrom('projects').selectAll().where(own, '=', organizationId).orderBy('id').execute(),
    db.selectFrom('api_keys').selectAll().where(own, '=', organizationId).orderBy('id').execute(),
    db.selectFrom('provider_credentials').selectAll().where(own, '=', organizationId).orderBy('id').execute(),
    db.selectFrom('provider_credentials').selectAll().where(own, 'is', null).orderBy('id').execute(),
    db.selectFrom('audit_log').selectAll().where(own, '=', organizationId).orderBy('id').execute(),
    db.selectFrom('audit_log').selectAll().where(own, 'is', null).orderBy('id').execute(),
  ])
  return JSON.stringify(found, (name, value: unknown) => (name === 'last_used_at' ? undefined : value), 1)
}
