import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { lockFolder } from '../../db/embedded/lock.ts'
import { type Database, openDatabase } from '../../db/open.ts'
import type { Schema } from '../../db/schema/index.ts'
import type { Books } from '../../db/stores/books.ts'
import { createStores, type Stores } from '../../db/stores/index.ts'
import { change, newId } from '../db/ledger-kit.ts'
import { POOR_KEY } from './books-caller.ts'
import { MODEL_MULTIPLIERS, ORGANIZATION_MULTIPLIER } from './books-plan.ts'

const PICO_PER_USD = 1_000_000_000_000n

/** Who pays: one with plenty, and one that soon has nothing left. */
export interface Payers {
  readonly rich: string
  readonly poor: string
}

export const GRANTED: Readonly<Record<keyof Payers, bigint>> = {
  rich: 10_000n * PICO_PER_USD,
  poor: PICO_PER_USD / 100n,
}

/** Does something in the database of a gateway that has ended. */
export async function inOffice<T>(
  dataDir: string,
  work: (office: { readonly db: Kysely<Schema>; readonly stores: Stores }) => Promise<T>,
): Promise<T> {
  const lock = await lockFolder(dataDir)
  let database: Database | null = null
  try {
    database = await openDatabase({ dataDir })
    return await work({ db: database.db, stores: createStores(database) })
  } finally {
    await database?.close()
    lock.release()
  }
}

/** Has the default organization pay, makes another, and sets what calls are charged beside their prices. */
export function setUp(dataDir: string): Promise<Payers> {
  return inOffice(dataDir, async ({ db, stores }) => {
    const { id: rich } = await db.selectFrom('organizations').select('id').executeTakeFirstOrThrow()
    const poor = newId('org')
    const created_at = new Date()
    await db.insertInto('organizations').values({ id: poor, name: 'Poor', plan: 'unlimited', created_at }).execute()
    const project = { id: 'prj_poor', organization_id: poor, name: 'Poor', default_provider: null, created_at }
    await db
      .insertInto('projects')
      .values({ ...project, archived_at: null })
      .execute()
    await stores.bootstrap.ensureKey({
      ...{ id: 'key_poor', projectId: 'prj_poor', name: 'Poor', kind: 'project', displayPrefix: 'lgw_proj_poor' },
      ...{ secretSha256: createHash('sha256').update(POOR_KEY).digest('hex'), nowMs: Date.now() },
    })
    await db.updateTable('organizations').set({ pays: 'credits' }).execute()
    for (const [name, organizationId] of Object.entries({ rich, poor }) as [keyof Payers, string][]) {
      await stores.multipliers.setOrganization(change(), organizationId, ORGANIZATION_MULTIPLIER)
      const grant = { id: newId('txn'), organizationId, amountPico: GRANTED[name], reference: 'books', note: 'Books' }
      await stores.ledger.grant(change(), grant)
    }
    for (const [named, multiplier] of Object.entries(MODEL_MULTIPLIERS)) {
      const [provider, model] = named.split('/') as [string, string]
      await stores.multipliers.set(change(), { provider, model, multiplier })
    }
    return { rich, poor }
  })
}

/** All that is written of the calls, in every place that it is written in. */
export interface Written {
  /** By the number that the caller gave each; -1: it was refused before anybody read that. */
  readonly calls: ReadonlyMap<number, readonly Schema['calls'][]>
  readonly byId: ReadonlyMap<string, Schema['calls']>
  readonly books: Books
  /** Ledger transactions whose entries don't sum to zero, and the sum of all entries. */
  readonly unbalanced: number
  readonly entriesPico: string
  /** Usage in the ledger, by organization, pico-dollars. */
  readonly usagePico: ReadonlyMap<string, bigint>
  /** Sums over the calls, and the same by the hour and by the day. */
  readonly sums: readonly object[]
}

export function readBooks(dataDir: string): Promise<Written> {
  return inOffice(dataDir, async ({ db, stores }) => {
    const rows = await db.selectFrom('calls').selectAll().orderBy('id').execute()
    const calls = new Map<number, Schema['calls'][]>()
    for (const row of rows) {
      const { number } = JSON.parse(row.metadata ?? '{"number":-1}') as { number: number }
      calls.set(number, [...(calls.get(number) ?? []), row])
    }
    const { rows: unbalanced } = await sql`
      select transaction_id from ledger_entries group by 1 having sum(amount_pico) <> 0`.execute(db)
    const total = await sql<{ pico: string }>`select sum(amount_pico)::text as pico from ledger_entries`.execute(db)
    const usage = await sql<{ id: string; pico: string }>`
      select substr(account, 9) as id, (- sum(amount_pico))::text as pico
      from ledger_entries join ledger_transactions as t on t.id = transaction_id
      where kind = 'usage' and account like 'credits:%' group by 1`.execute(db)
    return {
      calls,
      byId: new Map(rows.map((row) => [row.id, row])),
      books: await stores.ledger.verify(),
      unbalanced: unbalanced.length,
      entriesPico: total.rows[0]!.pico,
      usagePico: new Map(usage.rows.map(({ id, pico }) => [id, BigInt(pico)])),
      sums: await Promise.all(['calls', 'usage_hourly', 'usage_daily'].map((table) => sumsOf(db, table))),
    }
  })
}

const SUMMED = [
  ...['usage_input', 'usage_output', 'usage_cache_read', 'usage_cache_write_5m', 'usage_cache_write_1h'],
  ...['usage_reasoning', 'cost_pico', 'charged_pico', 'latency_us'],
]

async function sumsOf(db: Kysely<Schema>, table: string): Promise<object> {
  const isCalls = table === 'calls'
  const requests = isCalls ? sql`count(*)` : sql`sum(requests)`
  const errors = isCalls ? sql`count(*) filter (where outcome in ('error', 'cut'))` : sql`sum(errors)`
  const sums = SUMMED.map((name) => sql`coalesce(sum(${sql.ref(name)}), 0)::text as ${sql.ref(name)}`)
  const { rows } = await sql<object>`
    select ${requests}::text as requests, ${errors}::text as errors, ${sql.join(sums)} from ${sql.ref(table)}`.execute(
    db,
  )
  return rows[0]!
}
