import { type Kysely, sql } from 'kysely'
import type { Change, Role, Scope, ScopedChange } from '../model/access.ts'
import type { Pays } from '../model/plans.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './keys.ts'
import { holdOrganization, type Page, roleOf } from './members.ts'

export interface Organization {
  readonly id: string
  readonly name: string
  /** Id of a Plan. */
  readonly plan: string
  readonly pays: Pays
  readonly createdAtMs: number
  /** The one that was made at the first start. */
  readonly isDefault: boolean
}

export interface JoinedOrganization extends Organization {
  readonly role: Role
}

/** As the operator sees it. */
export interface CountedOrganization extends Organization {
  readonly members: number
  /** Calls since the time that was asked for. */
  readonly calls: number
}

export interface NewOrganization {
  readonly id: string
  readonly name: string
  readonly plan: string
  /** Default: `none`. */
  readonly pays?: Pays
  /** A user's id. */
  readonly ownerId: string
}

export type DeleteRefusal =
  | 'not_found'
  | 'role_too_low'
  | 'default'
  | 'has_subscription'
  | 'has_projects'
  | 'name_differs'

export interface OrganizationStore {
  /** Those that somebody belongs to, of which `only` one may be asked for; by id. */
  listOf(userId: string, page: Page & { readonly only?: string | null }): Promise<readonly JoinedOrganization[]>
  /** Makes it together with its first owner. */
  create(change: Change, organization: NewOrganization): Promise<Organization>
  find(scope: Scope): Promise<Organization | null>
  /** @returns as it is now, null when there is none */
  rename(change: ScopedChange, name: string): Promise<Organization | null>
  /**
   * Deletes it with all that it owns, and ends its keys on every instance within a second. What was called and what was
   * done stays in `calls`, the rollups and `audit_log`.
   * @param options confirm: its name; without it, an organization with projects that aren't archived stays
   * @returns null when it is gone, or why not
   */
  delete(
    change: ScopedChange,
    options: { readonly byUserId: string; readonly confirm: string | null },
  ): Promise<DeleteRefusal | null>
  /** Of the whole installation, newest first, with calls since `sinceMs`, a midnight in UTC. */
  listAll(page: Page & { readonly sinceMs: number }): Promise<readonly CountedOrganization[]>
  /** Puts it on a plan, on every instance within a second. @returns as it is now, null when there is none */
  setPlan(change: Change, organizationId: string, plan: string): Promise<Organization | null>
  /** Has its calls charged from now on or not, on every instance within a second. @returns as it is now, null when there is none */
  setPays(change: Change, organizationId: string, pays: Pays): Promise<Organization | null>
}

export function organizationStore(db: Kysely<Schema>): OrganizationStore {
  return {
    async listOf(userId, { limit, after, only = null }) {
      let query = select(db).innerJoin('members as m', 'm.organization_id', 'o.id').where('m.user_id', '=', userId)
      if (after !== null) query = query.where('o.id', '>', after)
      if (only !== null) query = query.where('o.id', '=', only)
      const rows = await query.select('m.role').orderBy('o.id').limit(limit).execute()
      return rows.map((row) => ({ ...organizationOf(row), role: row.role }))
    },

    create(change, { id, name, plan, pays = 'none', ownerId }) {
      return db.transaction().execute(async (trx) => {
        const created_at = new Date(change.atMs)
        await trx.insertInto('organizations').values({ id, name, plan, pays, created_at }).execute()
        await trx
          .insertInto('members')
          .values({ organization_id: id, user_id: ownerId, role: 'owner', created_at })
          .execute()
        const after = { name, plan, pays, owner: ownerId }
        await audit(trx, { ...change, organizationId: id }, { type: 'organization', id, before: null, after })
        return { id, name, plan, pays, createdAtMs: change.atMs, isDefault: false }
      })
    },

    find: (scope) => find(db, scope.organizationId),

    rename(change, name) {
      return db.transaction().execute(async (trx) => {
        const { organizationId: id } = change
        await holdOrganization(trx, change)
        const found = await find(trx, id)
        if (found === null || found.name === name) return found
        await trx.updateTable('organizations').set({ name }).where('id', '=', id).execute()
        await audit(trx, change, { type: 'organization', id, before: { name: found.name }, after: { name } })
        return { ...found, name }
      })
    },

    delete(change, { byUserId, confirm }) {
      return db.transaction().execute(async (trx) => {
        const { organizationId: id } = change
        // The strongest hold: from here on nobody adds a project.
        await trx.selectFrom('organizations').select('id').where('id', '=', id).forUpdate().execute()
        const found = await find(trx, id)
        if (found === null) return 'not_found'
        if ((await roleOf(trx, change, byUserId)) !== 'owner') return 'role_too_low'
        if (found.isDefault) return 'default'
        if (await isSubscribed(trx, id)) return 'has_subscription'
        if (confirm !== null && confirm !== found.name) return 'name_differs'
        const projects = await trx
          .selectFrom('projects')
          .select(['id', 'archived_at'])
          .where('organization_id', '=', id)
          .execute()
        if (confirm === null && projects.some((project) => project.archived_at === null)) return 'has_projects'
        await deleteOwned(trx, change)
        await trx.deleteFrom('organizations').where('id', '=', id).execute()
        await notifyKeys(trx, '')
        const before = { name: found.name, plan: found.plan, projects: projects.map((project) => project.id) }
        await audit(trx, change, { type: 'organization', id, before, after: null })
        return null
      })
    },

    async listAll({ limit, after, sinceMs }) {
      let query = select(db)
      if (after !== null) query = query.where('o.id', '<', after)
      const rows = await query
        .select((each) => [
          each
            .selectFrom('members as m')
            .whereRef('m.organization_id', '=', 'o.id')
            .select((of) => of.fn.countAll<number>().as('n'))
            .as('members'),
        ])
        .orderBy('o.id', 'desc')
        .limit(limit)
        .execute()
      const calls = await callsSince(db, { sinceMs, ids: rows.map((row) => row.id) })
      return rows.map((row) => ({
        ...organizationOf(row),
        members: row.members ?? 0,
        calls: calls.get(row.id) ?? 0,
      }))
    },

    setPlan: (change, id, plan) => setTerms(db, change, { id, terms: { plan } }),
    setPays: (change, id, pays) => setTerms(db, change, { id, terms: { pays } }),
  }
}

/**
 * Puts an organization on a plan, or has its calls charged or not, in the database transaction that is given or one of its
 * own; every instance knows within a second. @returns as it is now, null when there is none
 */
export function setTerms(
  db: Kysely<Schema>,
  change: Change,
  { id, terms }: { readonly id: string; readonly terms: Partial<Pick<Organization, 'plan' | 'pays'>> },
): Promise<Organization | null> {
  const set = async (trx: Kysely<Schema>): Promise<Organization | null> => {
    await trx.selectFrom('organizations').select('id').where('id', '=', id).forNoKeyUpdate().execute()
    const found = await find(trx, id)
    if (found === null) return null
    const names = (Object.keys(terms) as (keyof typeof terms)[]).filter((name) => found[name] !== terms[name])
    if (names.length === 0) return found
    await trx.updateTable('organizations').set(terms).where('id', '=', id).execute()
    await notifyKeys(trx, id)
    const before = Object.fromEntries(names.map((name) => [name, found[name]]))
    await audit(trx, { ...change, organizationId: id }, { type: 'organization', id, before, after: { ...terms } })
    return { ...found, ...terms }
  }
  return db.isTransaction ? set(db) : db.transaction().execute(set)
}

/** Whether it would be charged on, by what Stripe last told of it. */
async function isSubscribed(trx: Kysely<Schema>, id: string): Promise<boolean> {
  const row = await trx
    .selectFrom('billing_subscriptions')
    .select('id')
    .where('organization_id', '=', id)
    .where('status', 'in', ['active', 'trialing', 'past_due', 'unpaid', 'paused'])
    .where('ends_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** What belongs to an organization in tables without foreign keys. */
async function deleteOwned(trx: Kysely<Schema>, { organizationId }: Scope): Promise<void> {
  const projects = trx.selectFrom('projects').select('id').where('organization_id', '=', organizationId)
  await trx.deleteFrom('provider_objects').where('project_id', 'in', projects).execute()
  await trx.deleteFrom('responses').where('organization_id', '=', organizationId).execute()
  await trx.deleteFrom('conversations').where('organization_id', '=', organizationId).execute()
}

async function callsSince(
  db: Kysely<Schema>,
  { sinceMs, ids }: { readonly sinceMs: number; readonly ids: readonly string[] },
): Promise<ReadonlyMap<string, number>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('usage_daily')
    .where('organization_id', 'in', [...ids])
    .where('day', '>=', new Date(sinceMs))
    .groupBy('organization_id')
    .select(['organization_id as id', sql<number>`sum(requests)::bigint`.as('calls')])
    .execute()
  return new Map(rows.map(({ id, calls }) => [id, calls]))
}

function select(db: Kysely<Schema>) {
  return db
    .selectFrom('organizations as o')
    .select(['o.id', 'o.name', 'o.plan', 'o.pays', 'o.created_at'])
    .select((each) =>
      each
        .exists(
          each
            .selectFrom('settings as s')
            .select('s.name')
            .where('s.name', '=', 'default_organization')
            .whereRef('s.value', '=', 'o.id'),
        )
        .as('is_default'),
    )
}

async function find(db: Kysely<Schema>, id: string): Promise<Organization | null> {
  const row = await select(db).where('o.id', '=', id).executeTakeFirst()
  return row === undefined ? null : organizationOf(row)
}

function organizationOf(row: {
  id: string
  name: string
  plan: string
  pays: Pays
  created_at: Date
  is_default: unknown
}): Organization {
  const { id, name, plan, pays, created_at, is_default } = row
  return { id, name, plan, pays, createdAtMs: created_at.getTime(), isDefault: is_default === true }
}
