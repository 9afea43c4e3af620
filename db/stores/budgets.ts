import type { Kysely, Selectable } from 'kysely'
import type { Scope, ScopedChange } from '../model/access.ts'
import { type Budget, limitOfBudget, MAX_BUDGETS } from '../model/budgets.ts'
import type { Limit } from '../model/limits.ts'
import type { BudgetsTable } from '../schema/budgets.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './key-lookup.ts'

export interface BudgetPlace {
  readonly projectId: string
  readonly budgetId: string
}

export type NewBudget = Pick<Budget, 'id' | 'projectId' | 'keyId' | 'what' | 'period' | 'anchorMs' | 'limit' | 'hard'>

/** What is absent stays as it is. */
export type BudgetChanges = Partial<Pick<Budget, 'period' | 'anchorMs' | 'limit' | 'hard'>>

export interface BudgetPage {
  /** Only those of this key; null: all of the project and its keys. */
  readonly keyId: string | null
  /** Id of the last one known, null: from the first on. */
  readonly after: string | null
  readonly limit: number
}

/**
 * What projects and keys may use. Ids of other organizations or projects are unknown ids: null. Every change reaches
 * every instance within a second.
 */
export interface BudgetStore {
  /** In the order of their making; null when there is no such project. */
  list(scope: Scope, projectId: string, page: BudgetPage): Promise<readonly Budget[] | null>
  find(scope: Scope, place: BudgetPlace): Promise<Budget | null>
  /** `full`: its key, or its project, has MAX_BUDGETS already. Null: there is no such project, or no such key in it. */
  create(change: ScopedChange, budget: NewBudget): Promise<Budget | 'full' | null>
  /** Another period or anchor is counted anew, from the calls. */
  update(change: ScopedChange, place: BudgetPlace, changes: BudgetChanges): Promise<Budget | null>
  /** @returns false when there is none */
  delete(change: ScopedChange, place: BudgetPlace): Promise<boolean>
  /** Has it counted anew, from the calls. */
  renew(change: ScopedChange, place: BudgetPlace): Promise<Budget | null>
  /** For the line: those of a key and of its project. */
  limitsOf(projectId: string, keyId: string): Promise<readonly Limit[]>
}

type Row = Selectable<BudgetsTable>

export function budgetStore(db: Kysely<Schema>): BudgetStore {
  function changed(
    change: ScopedChange,
    place: BudgetPlace,
    next: (budget: Budget) => BudgetChanges & Pick<Budget, 'generation'>,
  ): Promise<Budget | null> {
    return db.transaction().execute(async (trx) => {
      const row = await one(trx, change, place).forUpdate().executeTakeFirst()
      if (row === undefined) return null
      const old = budgetOf(row)
      const now: Budget = { ...old, ...next(old), updatedAtMs: change.atMs }
      await trx
        .updateTable('budgets')
        .set({
          period: now.period,
          anchor_at: dateOf(now.anchorMs),
          amount: now.limit,
          hard: now.hard,
          generation: now.generation,
          updated_at: new Date(now.updatedAtMs),
        })
        .where('id', '=', old.id)
        .execute()
      await note(trx, change, { before: old, after: now })
      return now
    })
  }

  return {
    async list({ organizationId }, projectId, { keyId, after, limit }) {
      const project = await db
        .selectFrom('projects')
        .select('id')
        .where('id', '=', projectId)
        .where('organization_id', '=', organizationId)
        .executeTakeFirst()
      if (project === undefined) return null
      const rows = await db
        .selectFrom('budgets')
        .selectAll()
        .where('project_id', '=', projectId)
        .where('organization_id', '=', organizationId)
        .$if(keyId !== null, (query) => query.where('key_id', '=', keyId))
        .$if(after !== null, (query) => query.where('id', '>', after!))
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(budgetOf)
    },

    async find(scope, place) {
      const row = await one(db, scope, place).executeTakeFirst()
      return row === undefined ? null : budgetOf(row)
    },

    create(change, budget) {
      return db.transaction().execute(async (trx) => {
        if (!(await holdOwner(trx, change, budget))) return null
        const { keyId } = budget
        const others = trx
          .selectFrom('budgets')
          .select('id')
          .where('project_id', '=', budget.projectId)
          .where('key_id', keyId === null ? 'is' : '=', keyId)
        if ((await others.execute()).length >= MAX_BUDGETS) return 'full'
        const made: Budget = {
          ...budget,
          generation: 0,
          createdBy: change.actor.kind === 'user' ? change.actor.id : null,
          createdAtMs: change.atMs,
          updatedAtMs: change.atMs,
        }
        await trx
          .insertInto('budgets')
          .values({
            id: made.id,
            organization_id: change.organizationId,
            project_id: made.projectId,
            key_id: keyId,
            what: made.what,
            period: made.period,
            anchor_at: dateOf(made.anchorMs),
            amount: made.limit,
            hard: made.hard,
            generation: made.generation,
            created_by: made.createdBy,
            created_at: new Date(made.createdAtMs),
            updated_at: new Date(made.updatedAtMs),
          })
          .execute()
        await note(trx, change, { before: null, after: made })
        return made
      })
    },

    update(change, place, changes) {
      return changed(change, place, (old) => {
        const { period = old.period, anchorMs = old.anchorMs } = changes
        const isAnew = period !== old.period || anchorMs !== old.anchorMs
        return { ...changes, generation: old.generation + (isAnew ? 1 : 0) }
      })
    },

    delete(change, place) {
      return db.transaction().execute(async (trx) => {
        const row = await one(trx, change, place).forUpdate().executeTakeFirst()
        if (row === undefined) return false
        await trx.deleteFrom('budgets').where('id', '=', row.id).execute()
        await note(trx, change, { before: budgetOf(row), after: null })
        return true
      })
    },

    renew: (change, place) => changed(change, place, ({ generation }) => ({ generation: generation + 1 })),

    limitsOf: (projectId, keyId) => budgetsOf(db, projectId, keyId),
  }
}

/** What budgets hold for a key's calls: its own and its project's. */
export async function budgetsOf(db: Kysely<Schema>, projectId: string, keyId: string): Promise<readonly Limit[]> {
  const rows = await db
    .selectFrom('budgets')
    .selectAll()
    .where('project_id', '=', projectId)
    .where((is) => is.or([is('key_id', 'is', null), is('key_id', '=', keyId)]))
    .orderBy('id')
    .execute()
  return rows.map((row) => limitOfBudget(budgetOf(row)))
}

/** The project until the transaction ends: budgets of its keys and its own are made one at a time. */
async function holdOwner(trx: Kysely<Schema>, { organizationId }: Scope, budget: NewBudget): Promise<boolean> {
  const project = await trx
    .selectFrom('projects')
    .select('id')
    .where('id', '=', budget.projectId)
    .where('organization_id', '=', organizationId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (project === undefined || budget.keyId === null) return project !== undefined
  const key = await trx
    .selectFrom('api_keys')
    .select('id')
    .where('id', '=', budget.keyId)
    .where('project_id', '=', budget.projectId)
    .executeTakeFirst()
  return key !== undefined
}

function one(db: Kysely<Schema>, { organizationId }: Scope, { projectId, budgetId }: BudgetPlace) {
  return db
    .selectFrom('budgets')
    .selectAll()
    .where('id', '=', budgetId)
    .where('project_id', '=', projectId)
    .where('organization_id', '=', organizationId)
}

async function note(
  trx: Kysely<Schema>,
  change: ScopedChange,
  { before, after }: { readonly before: Budget | null; readonly after: Budget | null },
): Promise<void> {
  const { id, projectId, keyId } = (after ?? before)!
  await audit(trx, change, { type: 'budget', id, before: factsOf(before), after: factsOf(after) })
  await notifyKeys(trx, keyId ?? projectId)
}

function factsOf(budget: Budget | null): Record<string, unknown> | null {
  if (budget === null) return null
  const { projectId, keyId, what, period, anchorMs, limit, hard, generation } = budget
  const anchor = dateOf(anchorMs)?.toISOString() ?? null
  return { projectId, keyId, what, period, anchor, limit, hard, generation }
}

function budgetOf(row: Row): Budget {
  return {
    id: row.id,
    projectId: row.project_id,
    keyId: row.key_id,
    what: row.what,
    period: row.period,
    anchorMs: row.anchor_at?.getTime() ?? null,
    limit: row.amount,
    hard: row.hard,
    generation: row.generation,
    createdBy: row.created_by,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  }
}

function dateOf(epochMs: number | null): Date | null {
  return epochMs === null ? null : new Date(epochMs)
}
