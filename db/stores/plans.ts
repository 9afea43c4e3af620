import { type Kysely, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import { type Plan, readPlan } from '../model/plans.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './keys.ts'

/** Notified on KEYS_CHANNEL instead of an id when plans have changed. */
export const PLANS_CHANGED = 'plans'

export interface StoredPlans {
  readonly plans: readonly Plan[]
  /** Ids of rows that say nothing to this version. */
  readonly unreadable: readonly string[]
}

export type PlanEdit = Partial<Omit<Plan, 'id'>>

/**
 * What the operator has made of plans since the start. Presets and files are the base; a row here takes the place of the
 * whole plan of its id. The row wins because it is the younger word and the only one that all instances share: a file
 * may differ from one machine to the next. Rows are never deleted: an organization may be on any of them.
 */
export interface PlanStore {
  list(): Promise<StoredPlans>
  /** How many organizations are on each plan, by its id; those on none that is known too. */
  organizations(): Promise<ReadonlyMap<string, number>>
  /** On every instance within a second. @returns false when a row has its id */
  create(change: Change, plan: Plan): Promise<boolean>
  /**
   * Changes members of a plan, on every instance within a second.
   * @param options base: the plan as presets and files have it, changed when there is no row yet; null: they don't
   * @returns as it is now, null when there is neither row nor base
   */
  update(
    change: Change,
    id: string,
    options: { readonly base: Plan | null; readonly edit: PlanEdit },
  ): Promise<Plan | null>
}

export function planStore(db: Kysely<Schema>): PlanStore {
  return {
    async list() {
      const rows = await db.selectFrom('plans').select(['id', 'content']).orderBy('id').execute()
      const read = rows.map(({ id, content }) => ({ id, plan: readPlan(content) }))
      return {
        plans: read.flatMap(({ id, plan }) => (plan?.id === id ? [plan] : [])),
        unreadable: read.flatMap(({ id, plan }) => (plan?.id === id ? [] : [id])),
      }
    },

    async organizations() {
      const rows = await db
        .selectFrom('organizations')
        .groupBy('plan')
        .select(['plan', (each) => each.fn.countAll<number>().as('n')])
        .execute()
      return new Map(rows.map(({ plan, n }) => [plan, n]))
    },

    create(change, plan) {
      return db.transaction().execute(async (trx) => {
        const at = { created_at: new Date(change.atMs), updated_at: new Date(change.atMs) }
        const added = await trx
          .insertInto('plans')
          .values({ id: plan.id, content: plan, ...at })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .returning('id')
          .executeTakeFirst()
        if (added === undefined) return false
        await told(trx, change, { id: plan.id, before: null, after: { ...plan } })
        return true
      })
    },

    update(change, id, { base, edit }) {
      return db.transaction().execute(async (trx) => {
        // One change at a time, of plans without a row too.
        await sql`lock table plans in share row exclusive mode`.execute(trx)
        const row = await trx.selectFrom('plans').select('content').where('id', '=', id).executeTakeFirst()
        const old = readPlan(row?.content) ?? base
        if (old === null) return null
        const plan = { ...old, ...edit, id }
        const { before, after } = difference(old, plan)
        if (Object.keys(after).length === 0) return old
        const updated_at = new Date(change.atMs)
        await trx
          .insertInto('plans')
          .values({ id, content: plan, created_at: updated_at, updated_at })
          .onConflict((conflict) => conflict.column('id').doUpdateSet({ content: plan, updated_at }))
          .execute()
        await told(trx, change, { id, before, after })
        return plan
      })
    },
  }
}

type Told = Parameters<typeof audit>[2]

async function told(trx: Kysely<Schema>, change: Change, what: Omit<Told, 'type'>): Promise<void> {
  await notifyKeys(trx, PLANS_CHANGED)
  await audit(trx, change, { type: 'plan', ...what })
}

/** The members that differ. */
function difference(old: Plan, now: Plan) {
  const names = Object.keys(now) as (keyof Plan)[]
  const changed = names.filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]))
  const pick = (plan: Plan): Readonly<Record<string, unknown>> =>
    Object.fromEntries(changed.map((name) => [name, plan[name]]))
  return { before: pick(old), after: pick(now) }
}
