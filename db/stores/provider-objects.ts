import type { Kysely } from 'kysely'
import type { Schema } from '../schema/index.ts'

/** Whose a provider's objects are. */
export interface ObjectOwner {
  readonly projectId: string
  readonly provider: string
}

/** A project sees the objects that it has made, and no other's. */
export interface ProviderObjectStore {
  /** Noted for every instance when it resolves. Giving the same again changes nothing. */
  add(owner: ObjectOwner, ids: readonly string[], nowMs: number): Promise<void>
  /** Those of the ids that are the owner's. */
  owned(owner: ObjectOwner, ids: readonly string[]): Promise<ReadonlySet<string>>
  remove(owner: ObjectOwner, id: string): Promise<void>
}

/** So many rows go into one statement. */
const ROWS = 1000

export function providerObjectStore(db: Kysely<Schema>): ProviderObjectStore {
  return {
    async add({ projectId, provider }, ids, nowMs) {
      const rows = ids.map((id) => ({ provider, id, project_id: projectId, created_at: new Date(nowMs) }))
      for (const some of chunks(rows)) {
        await db
          .insertInto('provider_objects')
          .values([...some])
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      }
    },
    async owned({ projectId, provider }, ids) {
      const found = new Set<string>()
      for (const some of chunks(ids)) {
        const rows = await db
          .selectFrom('provider_objects')
          .select('id')
          .where('provider', '=', provider)
          .where('project_id', '=', projectId)
          .where('id', 'in', [...some])
          .execute()
        for (const { id } of rows) found.add(id)
      }
      return found
    },
    async remove({ projectId, provider }, id) {
      await db
        .deleteFrom('provider_objects')
        .where('provider', '=', provider)
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .execute()
    },
  }
}

function* chunks<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += ROWS) yield all.slice(from, from + ROWS)
}
