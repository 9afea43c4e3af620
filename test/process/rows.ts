import { type Kysely, sql } from 'kysely'
import { lockFolder } from '../../db/embedded/lock.ts'
import { openDatabase } from '../../db/open.ts'
import type { Schema } from '../../db/schema/index.ts'

/** What a gateway has left in the embedded database of its folder, read once it has ended. */
export interface Rows {
  readonly calls: Map<string, Schema['calls']>
  keys(): Promise<{ kind: string; secret_sha256: string; project_id: string }[]>
  /** Sums of the rollups, by the hour and by the day, beside the same sums over `calls`: equal if each call was added exactly once. */
  sums(): Promise<{ readonly kept: readonly object[]; readonly recounted: readonly object[] }>
  close(): Promise<void>
}

/** @throws FolderLockedError while the gateway runs */
export async function openRows(dataDir: string): Promise<Rows> {
  const lock = await lockFolder(dataDir)
  const database = await openDatabase({ dataDir })
  const { db } = database
  const calls = await db.selectFrom('calls').selectAll().execute()
  return {
    calls: new Map(calls.map((call) => [call.id, call])),
    keys: () => db.selectFrom('api_keys').select(['kind', 'secret_sha256', 'project_id']).execute(),
    async sums() {
      const counted = await recount(db)
      return { kept: [await kept(db, 'usage_hourly'), await kept(db, 'usage_daily')], recounted: [counted, counted] }
    },
    async close() {
      await database.close()
      lock.release()
    },
  }
}

async function kept(db: Kysely<Schema>, table: 'usage_hourly' | 'usage_daily'): Promise<object> {
  const { rows } = await sql<object>`
    select sum(requests)::text as requests, sum(errors)::text as errors, sum(usage_input)::text as input,
      sum(usage_output)::text as output, sum(latency_us)::text as latency, sum(cost_pico)::text as cost
    from ${sql.ref(table)}`.execute(db)
  return rows[0]!
}

async function recount(db: Kysely<Schema>): Promise<object> {
  const { rows } = await sql<object>`
    select count(*)::text as requests, count(*) filter (where outcome in ('error', 'cut'))::text as errors,
      sum(usage_input)::text as input, sum(usage_output)::text as output, sum(latency_us)::text as latency,
      coalesce(sum(cost_pico), 0)::text as cost
    from calls`.execute(db)
  return rows[0]!
}
