import { type Kysely, sql } from 'kysely'
import type { Schema } from '../schema/index.ts'
import { addKey, keyIdOf, type NewKey, notifyKeys } from './keys.ts'
import { settingStore } from './settings.ts'

export interface Defaults {
  /** Used only when there is no default organization or project yet. */
  readonly organizationId: string
  readonly organizationName: string
  readonly projectId: string
  readonly projectName: string
  /** Id of the plan that the default organization is to have; null: the one it has, `firstPlan` when it is made now. */
  readonly plan: string | null
  /** Default: `free`. */
  readonly firstPlan?: string
  /** A key to make together with the project, if the project is made now. */
  readonly firstKey?: Omit<NewKey, 'projectId' | 'nowMs'>
  readonly nowMs: number
}

export interface Ensured {
  readonly organizationId: string
  readonly projectId: string
  /** They were made by this call, with the first key. */
  readonly created: boolean
}

export interface BootstrapStore {
  /**
   * Sees to it that there are a default organization, with this plan, and a default project. Of any number of instances
   * that start at once, one makes them, and never a part of them.
   */
  ensureDefaults(defaults: Defaults): Promise<Ensured>
  /** Sees to it that this secret has a key, or had one and was rotated out. @returns the id of the one it has, and whether it was made by this call */
  ensureKey(key: NewKey): Promise<{ readonly keyId: string; readonly created: boolean }>
}

/** Any number will do; it must not be that of the migrations. */
const BOOTSTRAP_LOCK = 7_402_351_002

export function bootstrapStore(db: Kysely<Schema>): BootstrapStore {
  return {
    ensureDefaults(defaults) {
      return db.transaction().execute(async (trx) => {
        await sql`select pg_advisory_xact_lock(${BOOTSTRAP_LOCK}::bigint)`.execute(trx)
        const settings = settingStore(trx)
        const organizationId = await settings.get('default_organization')
        const projectId = await settings.get('default_project')
        if (organizationId === null || projectId === null) return makeDefaults(trx, defaults)
        if (defaults.plan === null) return { organizationId, projectId, created: false }
        const changed = await trx
          .updateTable('organizations')
          .set({ plan: defaults.plan })
          .where('id', '=', organizationId)
          .where('plan', '<>', defaults.plan)
          .returning('id')
          .executeTakeFirst()
        if (changed !== undefined) await notifyKeys(trx, '')
        return { organizationId, projectId, created: false }
      })
    },

    ensureKey(key) {
      return db.transaction().execute(async (trx) => {
        const created = await addKey(trx, key)
        if (created) return { keyId: key.id, created }
        return { keyId: (await keyIdOf(trx, key.secretSha256))!, created }
      })
    },
  }
}

async function makeDefaults(trx: Kysely<Schema>, defaults: Defaults): Promise<Ensured> {
  const { organizationId, projectId, nowMs } = defaults
  const created_at = new Date(nowMs)
  await trx
    .insertInto('organizations')
    .values({
      id: organizationId,
      name: defaults.organizationName,
      plan: defaults.plan ?? defaults.firstPlan ?? 'free',
      created_at,
    })
    .execute()
  await trx
    .insertInto('projects')
    .values({
      id: projectId,
      organization_id: organizationId,
      name: defaults.projectName,
      default_provider: null,
      created_at,
      archived_at: null,
    })
    .execute()
  const settings = settingStore(trx)
  await settings.set('default_organization', organizationId)
  await settings.set('default_project', projectId)
  if (defaults.firstKey !== undefined) await addKey(trx, { ...defaults.firstKey, projectId, nowMs })
  return { organizationId, projectId, created: true }
}
