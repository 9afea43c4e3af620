import { type Kysely, sql } from 'kysely'
import { type Change, type Role, scopeOf } from '../model/access.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { settingStore } from './settings.ts'

export interface StoredPerson {
  readonly id: string
  readonly name: string
  /** Lower-case. */
  readonly email: string
  readonly emailVerified: boolean
  readonly operator: boolean
}

export interface Profile extends StoredPerson {
  readonly twoFactorEnabled: boolean
  /** The longest-standing membership first. */
  readonly organizations: readonly { readonly id: string; readonly name: string; readonly role: Role }[]
}

export interface NewAdmin {
  /** Of the user, should one be made. */
  readonly id: string
  readonly accountId: string
  readonly name: string
  /** Lower-case. */
  readonly email: string
  readonly passwordHash: string
}

/** Who may sign up: nobody before there is an admin, and it may take an invitation. */
export interface Admission {
  readonly hasAdmin: boolean
  /** An invitation to this address is open. */
  readonly invited: boolean
}

/** People's accounts; what better-auth doesn't see to itself. */
export interface PeopleStore {
  any(): Promise<boolean>
  /** Null for an unknown token and for one that has expired. */
  session(token: string, nowMs: number): Promise<{ readonly sessionId: string; readonly person: StoredPerson } | null>
  profile(id: string): Promise<Profile | null>
  admission(email: string, nowMs: number): Promise<Admission>
  isOperator(email: string): Promise<boolean>
  /**
   * Makes the first user: verified, operator, owner of the default organization.
   * @returns false when there is a user already; of several at once one makes it
   */
  createAdmin(change: Change, admin: NewAdmin): Promise<boolean>
  /**
   * Sees to it that this address is an operator's, however many ask at once. A user who isn't one yet, whoever made it,
   * gets the password and loses all sessions and other ways in. @returns whether anything was changed
   */
  ensureAdmin(change: Change, admin: NewAdmin): Promise<boolean>
  /** Adds a set-up link's secret. @returns false when there is a user already: nothing was added */
  addSetupSecret(secretSha256: string): Promise<boolean>
  /** Those of the set-up links that still work. */
  setupSecrets(): Promise<readonly string[]>
  /** Deletes sessions and verifications that have expired. */
  sweep(nowMs: number): Promise<void>
}

/** Any number will do; it must not be that of another lock. */
const ADMIN_LOCK = 7_402_351_003
/** Links of so many starts work, so that those of several instances do. */
const MAX_SETUP_SECRETS = 16

const PERSON = ['u.id', 'u.name', 'u.email', 'u.email_verified', 'u.operator'] as const

export function peopleStore(db: Kysely<Schema>): PeopleStore {
  return {
    any: () => anyUser(db),

    async session(token, nowMs) {
      const row = await db
        .selectFrom('sessions as s')
        .innerJoin('users as u', 'u.id', 's.user_id')
        .where('s.token', '=', token)
        .where('s.expires_at', '>', new Date(nowMs))
        .select(['s.id as sessionId', ...PERSON])
        .executeTakeFirst()
      return row === undefined ? null : { sessionId: row.sessionId, person: personOf(row) }
    },

    async profile(id) {
      const row = await db
        .selectFrom('users as u')
        .where('u.id', '=', id)
        .select([...PERSON, 'u.two_factor_enabled'])
        .executeTakeFirst()
      if (row === undefined) return null
      const organizations = await db
        .selectFrom('members as m')
        .innerJoin('organizations as o', 'o.id', 'm.organization_id')
        .where('m.user_id', '=', id)
        .select(['o.id', 'o.name', 'm.role'])
        .orderBy('m.created_at')
        .orderBy('o.id')
        .execute()
      return { ...personOf(row), twoFactorEnabled: row.two_factor_enabled, organizations }
    },

    async admission(email, nowMs) {
      const invited = await db
        .selectFrom('invitations')
        .select('id')
        .where('email', '=', email)
        .where('accepted_at', 'is', null)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', new Date(nowMs))
        .limit(1)
        .executeTakeFirst()
      return { hasAdmin: await anyUser(db), invited: invited !== undefined }
    },

    isOperator: (email) => isOperator(db, email),

    createAdmin: (change, admin) =>
      locked(db, async (trx) => {
        if (await anyUser(trx)) return false
        await addAdmin(trx, change, admin)
        return true
      }),

    ensureAdmin: (change, admin) =>
      locked(db, async (trx) => {
        if (await isOperator(trx, admin.email)) return false
        const known = await trx.selectFrom('users').select('id').where('email', '=', admin.email).executeTakeFirst()
        if (known === undefined) await addAdmin(trx, change, admin)
        else await promote(trx, change, { ...admin, id: known.id })
        return true
      }),

    addSetupSecret: (secretSha256) =>
      locked(db, async (trx) => {
        if (await anyUser(trx)) return false
        const known = await readSetupSecrets(trx)
        const kept = [...known, secretSha256].slice(-MAX_SETUP_SECRETS)
        await settingStore(trx).set('setup_secrets', kept.join(','))
        return true
      }),

    setupSecrets: () => readSetupSecrets(db),

    async sweep(nowMs) {
      const now = new Date(nowMs)
      await db.deleteFrom('sessions').where('expires_at', '<=', now).execute()
      await db.deleteFrom('verifications').where('expires_at', '<=', now).execute()
    },
  }
}

/** One at a time over all instances. */
function locked<T>(db: Kysely<Schema>, work: (trx: Kysely<Schema>) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${ADMIN_LOCK}::bigint)`.execute(trx)
    return work(trx)
  })
}

async function anyUser(db: Kysely<Schema>): Promise<boolean> {
  return (await db.selectFrom('users').select('id').limit(1).executeTakeFirst()) !== undefined
}

async function isOperator(db: Kysely<Schema>, email: string): Promise<boolean> {
  const row = await db.selectFrom('users').select('operator').where('email', '=', email).executeTakeFirst()
  return row?.operator === true
}

async function readSetupSecrets(db: Kysely<Schema>): Promise<readonly string[]> {
  return (await settingStore(db).get('setup_secrets'))?.split(',') ?? []
}

async function addAdmin(trx: Kysely<Schema>, change: Change, admin: NewAdmin): Promise<void> {
  const at = new Date(change.atMs)
  await trx
    .insertInto('users')
    .values({
      id: admin.id,
      name: admin.name,
      email: admin.email,
      email_verified: true,
      image: null,
      two_factor_enabled: false,
      operator: true,
      created_at: at,
      updated_at: at,
    })
    .execute()
  await settle(trx, change, { admin, before: null })
}

/** Nothing of the time before stays: whoever made that user may not be who the address belongs to. */
async function promote(trx: Kysely<Schema>, change: Change, admin: NewAdmin): Promise<void> {
  await trx.deleteFrom('sessions').where('user_id', '=', admin.id).execute()
  await trx.deleteFrom('accounts').where('user_id', '=', admin.id).execute()
  await trx.deleteFrom('two_factors').where('user_id', '=', admin.id).execute()
  await trx
    .updateTable('users')
    .set({ operator: true, email_verified: true, two_factor_enabled: false, updated_at: new Date(change.atMs) })
    .where('id', '=', admin.id)
    .execute()
  await settle(trx, change, { admin, before: { operator: false } })
}

interface Settling {
  readonly admin: NewAdmin
  readonly before: Readonly<Record<string, unknown>> | null
}

/** What an admin has beside the user: a password, the default organization, an entry in the audit log, no open link. */
async function settle(trx: Kysely<Schema>, change: Change, { admin, before }: Settling): Promise<void> {
  const at = new Date(change.atMs)
  await trx
    .insertInto('accounts')
    .values({
      id: admin.accountId,
      user_id: admin.id,
      // What better-auth looks for.
      account_id: admin.id,
      provider_id: 'credential',
      access_token: null,
      refresh_token: null,
      id_token: null,
      access_token_expires_at: null,
      refresh_token_expires_at: null,
      scope: null,
      password: admin.passwordHash,
      created_at: at,
      updated_at: at,
    })
    .execute()
  const organizationId = await settingStore(trx).get('default_organization')
  if (organizationId === null) throw new Error('There is no default organization to be the admin of')
  await trx
    .insertInto('members')
    .values({ organization_id: organizationId, user_id: admin.id, role: 'owner', created_at: at })
    .onConflict((conflict) => conflict.columns(['organization_id', 'user_id']).doUpdateSet({ role: 'owner' }))
    .execute()
  await trx.deleteFrom('settings').where('name', '=', 'setup_secrets').execute()
  const after = { email: admin.email, name: admin.name, operator: true, role: 'owner' }
  await audit(trx, { ...change, ...scopeOf(organizationId) }, { type: 'user', id: admin.id, before, after })
}

interface PersonRow {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly email_verified: boolean
  readonly operator: boolean
}

function personOf({ id, name, email, email_verified: emailVerified, operator }: PersonRow): StoredPerson {
  return { id, name, email, emailVerified, operator }
}
