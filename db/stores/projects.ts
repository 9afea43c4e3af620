import { type Kysely, type Selectable, sql } from 'kysely'
import type { Scope, ScopedChange } from '../model/access.ts'
import type { ProjectSettings } from '../model/settings.ts'
import type { Schema } from '../schema/index.ts'
import type { ProjectsTable } from '../schema/organizations.ts'
import { audit } from './audit-log.ts'
import { addKey, type NewKey, notifyKeys } from './key-lookup.ts'

/** Times are epoch milliseconds. */
export interface StoredProject {
  readonly id: string
  readonly name: string
  readonly provider: string | null
  readonly settings: Partial<ProjectSettings>
  readonly createdAtMs: number
  /** Its keys don't work from then on; null: they do. */
  readonly archivedAtMs: number | null
}

/** Its calls since some hour. */
export interface ProjectTotals {
  readonly requests: number
  readonly cached: number
  readonly costPico: bigint
}

export interface NewProject {
  readonly id: string
  readonly name: string
  readonly provider: string | null
  readonly settings: Partial<ProjectSettings>
  readonly firstKey: Omit<NewKey, 'projectId' | 'nowMs'>
}

/** What is absent stays as it is; of `settings` and their routing as well. */
export interface ProjectChanges {
  readonly name?: string
  readonly provider?: string | null
  readonly settings?: Partial<ProjectSettings>
  readonly archived?: boolean
}

export interface ProjectPage {
  /** Only this one. */
  readonly id?: string
  /** Id of the last one known, null: from the first on. */
  readonly after: string | null
  readonly limit: number
  /** The midnight, UTC, from which calls are counted. */
  readonly sinceMs: number
}

/** Ids of other organizations are unknown ids. Every change reaches every instance within a second. */
export interface ProjectStore {
  /** In the order of their making, with what they have used, in one query. */
  list(scope: Scope, page: ProjectPage): Promise<readonly (StoredProject & { readonly totals: ProjectTotals })[]>
  find(scope: Scope, id: string): Promise<StoredProject | null>
  /** With its first key. */
  create(change: ScopedChange, project: NewProject): Promise<void>
  /** Null: there is none. */
  update(change: ScopedChange, id: string, changes: ProjectChanges): Promise<StoredProject | null>
  /**
   * Deletes it with its keys, provider keys, stored responses, conversations and what is noted of objects at providers;
   * its calls and what they used stay, as does the audit log.
   * @returns `default`: nothing was done, since the start works with this project; null: there is none
   */
  delete(change: ScopedChange, id: string): Promise<'deleted' | 'default' | null>
}

/** What a project has; each table's rows go with it. */
const ITS_OWN = ['responses', 'conversations', 'provider_objects', 'provider_credentials', 'api_keys'] as const

export function projectStore(db: Kysely<Schema>): ProjectStore {
  return {
    async list({ organizationId }, { id, after, limit, sinceMs }) {
      const rows = await db
        .selectFrom('projects as p')
        .leftJoinLateral(
          (eb) =>
            eb
              .selectFrom('usage_daily as u')
              .whereRef('u.project_id', '=', 'p.id')
              .where('u.organization_id', '=', organizationId)
              .where('u.day', '>=', new Date(sinceMs))
              .select(sql<number>`coalesce(sum(u.requests), 0)::bigint`.as('requests'))
              .select(sql<number>`coalesce(sum(u.cached), 0)::bigint`.as('cached'))
              .select(sql<string>`coalesce(sum(u.cost_pico), 0)::text`.as('cost'))
              .as('used'),
          (join) => join.onTrue(),
        )
        .selectAll('p')
        .select(['used.requests', 'used.cached', 'used.cost'])
        .where('p.organization_id', '=', organizationId)
        .$if(id !== undefined, (query) => query.where('p.id', '=', id!))
        .$if(after !== null, (query) => query.where('p.id', '>', after))
        .orderBy('p.id')
        .limit(limit)
        .execute()
      return rows.map((row) => ({
        ...storedProject(row),
        totals: { requests: row.requests ?? 0, cached: row.cached ?? 0, costPico: BigInt(row.cost ?? 0) },
      }))
    },

    async find({ organizationId }, id) {
      const row = await db
        .selectFrom('projects')
        .selectAll()
        .where('id', '=', id)
        .where('organization_id', '=', organizationId)
        .executeTakeFirst()
      return row === undefined ? null : storedProject(row)
    },

    create(change, { id, name, provider, settings, firstKey }) {
      return db.transaction().execute(async (trx) => {
        const { organizationId, atMs } = change
        await trx
          .insertInto('projects')
          .values({
            id,
            organization_id: organizationId,
            name,
            default_provider: provider,
            created_at: new Date(atMs),
            archived_at: null,
            settings,
          })
          .execute()
        const isNew = await addKey(trx, { ...firstKey, projectId: id, nowMs: atMs })
        if (!isNew) throw new Error('A key with this secret exists already; make another secret')
        const key = { id: firstKey.id, name: firstKey.name, prefix: firstKey.displayPrefix }
        await audit(trx, change, { type: 'project', id, before: null, after: { name, provider, settings, key } })
      })
    },

    update(change, id, changes) {
      return db.transaction().execute(async (trx) => {
        const old = await locked(trx, change, id)
        if (old === null) return null
        const { name = old.name, provider = old.provider, archived = old.archivedAtMs !== null } = changes
        const archivedAtMs = archived ? (old.archivedAtMs ?? change.atMs) : null
        const settings = changed(old.settings, changes.settings ?? {})
        const next = { ...old, name, provider, archivedAtMs, settings }
        await trx
          .updateTable('projects')
          .set({
            name,
            default_provider: provider,
            archived_at: archivedAtMs === null ? null : new Date(archivedAtMs),
            settings,
          })
          .where('id', '=', id)
          .execute()
        await audit(trx, change, { type: 'project', id, before: shown(old), after: shown(next) })
        await notifyKeys(trx, id)
        return next
      })
    },

    delete(change, id) {
      return db.transaction().execute(async (trx) => {
        const old = await locked(trx, change, id)
        if (old === null) return null
        const { value } = (await trx
          .selectFrom('settings')
          .select('value')
          .where('name', '=', 'default_project')
          .executeTakeFirst()) ?? { value: null }
        if (value === id) return 'default'
        for (const table of ITS_OWN) await trx.deleteFrom(table).where('project_id', '=', id).execute()
        await trx.deleteFrom('projects').where('id', '=', id).execute()
        await audit(trx, change, { type: 'project', id, before: shown(old), after: null })
        await notifyKeys(trx, id)
        return 'deleted'
      })
    },
  }
}

/** Until the transaction ends, nobody else changes it or gives it a key. */
async function locked(trx: Kysely<Schema>, { organizationId }: Scope, id: string): Promise<StoredProject | null> {
  const row = await trx
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', organizationId)
    .forUpdate()
    .executeTakeFirst()
  return row === undefined ? null : storedProject(row)
}

function storedProject(row: Selectable<ProjectsTable>): StoredProject {
  return {
    id: row.id,
    name: row.name,
    provider: row.default_provider,
    settings: row.settings,
    createdAtMs: row.created_at.getTime(),
    archivedAtMs: row.archived_at?.getTime() ?? null,
  }
}

/** What is absent stays as it is, in the routing as well: who changes the policy doesn't say all aliases again. */
function changed(old: Partial<ProjectSettings>, changes: Partial<ProjectSettings>): Partial<ProjectSettings> {
  if (changes.routing === undefined) return { ...old, ...changes }
  return { ...old, ...changes, routing: { ...old.routing, ...changes.routing } }
}

function shown({ name, provider, settings, archivedAtMs }: StoredProject): Record<string, unknown> {
  return { name, provider, settings, archivedAt: archivedAtMs === null ? null : new Date(archivedAtMs).toISOString() }
}
