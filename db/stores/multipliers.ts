import type { Kysely } from 'kysely'
import type { Change } from '../model/access.ts'
import { MULTIPLIER_ONE } from '../model/charge.ts'
import type { ModelMultiplier } from '../model/multipliers.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './key-lookup.ts'

/** Whose multiplier isn't 1.0. */
export interface OrganizationMultiplier {
  readonly organizationId: string
  readonly name: string
  readonly multiplier: number
}

/** Every change reaches every instance within a second; calls that were settled before stay as they were charged. */
export interface MultiplierStore {
  /** By provider and model. */
  models(): Promise<readonly ModelMultiplier[]>
  /** By id: those whose multiplier isn't 1.0. */
  organizations(): Promise<readonly OrganizationMultiplier[]>
  /** Makes it or changes it. */
  set(change: Change, rule: ModelMultiplier): Promise<void>
  /** @returns false when there is none */
  remove(change: Change, rule: Pick<ModelMultiplier, 'provider' | 'model'>): Promise<boolean>
  /** @returns false when there is no such organization */
  setOrganization(change: Change, organizationId: string, multiplier: number): Promise<boolean>
}

export function multiplierStore(db: Kysely<Schema>): MultiplierStore {
  return {
    models: () =>
      db
        .selectFrom('model_multipliers')
        .select(['provider', 'model', 'multiplier'])
        .orderBy('provider')
        .orderBy('model')
        .execute(),

    organizations: () =>
      db
        .selectFrom('organizations')
        .select(['id as organizationId', 'name', 'credit_multiplier as multiplier'])
        .where('credit_multiplier', '<>', MULTIPLIER_ONE)
        .orderBy('id')
        .execute(),

    set(change, { provider, model, multiplier }) {
      return db.transaction().execute(async (trx) => {
        const old = await find(trx, { provider, model })
        if (old === multiplier) return
        const row = { multiplier, updated_at: new Date(change.atMs) }
        await trx
          .insertInto('model_multipliers')
          .values({ provider, model, ...row })
          .onConflict((conflict) => conflict.columns(['provider', 'model']).doUpdateSet(row))
          .execute()
        await note(trx, change, { provider, model, before: old, after: multiplier })
      })
    },

    remove(change, { provider, model }) {
      return db.transaction().execute(async (trx) => {
        const removed = await trx
          .deleteFrom('model_multipliers')
          .where('provider', '=', provider)
          .where('model', '=', model)
          .returning('multiplier')
          .executeTakeFirst()
        if (removed === undefined) return false
        await note(trx, change, { provider, model, before: removed.multiplier, after: null })
        return true
      })
    },

    setOrganization(change, id, multiplier) {
      return db.transaction().execute(async (trx) => {
        const found = await trx
          .selectFrom('organizations')
          .select('credit_multiplier')
          .where('id', '=', id)
          .forNoKeyUpdate()
          .executeTakeFirst()
        if (found === undefined) return false
        if (found.credit_multiplier === multiplier) return true
        await trx.updateTable('organizations').set({ credit_multiplier: multiplier }).where('id', '=', id).execute()
        await notifyKeys(trx, id)
        const before = { credit_multiplier: found.credit_multiplier }
        const target = { type: 'organization', id, before, after: { credit_multiplier: multiplier } }
        await audit(trx, { ...change, organizationId: id }, target)
        return true
      })
    },
  }
}

async function find(trx: Kysely<Schema>, { provider, model }: Pick<ModelMultiplier, 'provider' | 'model'>) {
  const row = await trx
    .selectFrom('model_multipliers')
    .select('multiplier')
    .where('provider', '=', provider)
    .where('model', '=', model)
    .forUpdate()
    .executeTakeFirst()
  return row?.multiplier ?? null
}

interface Changed {
  readonly provider: string
  readonly model: string
  readonly before: number | null
  readonly after: number | null
}

/** '' is heard by what keeps the rules in memory: every instance loads them again. */
async function note(trx: Kysely<Schema>, change: Change, { provider, model, before, after }: Changed): Promise<void> {
  const content = (multiplier: number | null) => (multiplier === null ? null : { multiplier })
  const target = {
    type: 'model_multiplier',
    id: `${provider}/${model}`,
    before: content(before),
    after: content(after),
  }
  await audit(trx, change, target)
  await notifyKeys(trx, '')
}
