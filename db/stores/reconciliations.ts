import { type Kysely, type Selectable, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import type { Figures, Reconciliation, ReconciliationRow } from '../model/reconcile.ts'
import type { Schema } from '../schema/index.ts'
import type { ReconciliationRowsTable, ReconciliationsTable } from '../schema/reconcile.ts'
import { audit } from './audit-log.ts'

export interface NewReconciliation extends Omit<Reconciliation, 'latest'> {
  readonly rows: readonly ReconciliationRow[]
}

export interface OurDay {
  readonly day: string
  /** As the provider was told. */
  readonly model: string
  readonly figures: Figures
}

export interface ReconciliationPage {
  readonly provider: string | null
  readonly status: 'ok' | 'off' | null
  /** Of days that were compared several times all of these, not only the latest. */
  readonly history: boolean
  readonly limit: number
  /** The id that the page comes after, null: from the newest on. */
  readonly after: string | null
}

/** Our books held against what providers say. Of the platform, and so without a scope: for who runs it. */
export interface ReconciliationStore {
  /**
   * What our books have of the calls that went to a provider with the platform's accounts, by day (UTC) and model; what
   * went with projects' own accounts isn't in it. Calls that failed or were answered from the cache are no requests.
   * @param span epoch milliseconds, whole days, the end not in it
   */
  ours(provider: string, span: { readonly fromMs: number; readonly toMs: number }): Promise<readonly OurDay[]>
  /** Saves all or none; each is the latest of its day from now on. */
  save(change: Change, made: readonly NewReconciliation[]): Promise<void>
  /** Newest first. */
  list(page: ReconciliationPage): Promise<readonly Reconciliation[]>
  find(id: string): Promise<Reconciliation | null>
  /** By model, those after a name; null: from the first on. */
  rows(
    id: string,
    page: { readonly limit: number; readonly after: string | null },
  ): Promise<readonly ReconciliationRow[]>
}

/** Sums of one table over a provider's days; the other's is taken off it. */
const COUNTERS = ['usage_input', 'usage_audio_input', 'usage_image_input', 'usage_output', 'usage_audio_output']
const MORE = ['usage_image_output', 'usage_cache_read', 'usage_cache_write_5m', 'usage_cache_write_1h']
const SUMS = [...COUNTERS, ...MORE]

export function reconciliationStore(db: Kysely<Schema>): ReconciliationStore {
  return {
    async ours(provider, { fromMs, toMs }) {
      const { rows } = await sql<OurRow>`
        with booked as (
          select date_trunc('day', hour, 'UTC') as day, model, sum(requests - errors - cached) as requests,
            sum(cost_pico) as cost_pico, ${sql.raw(SUMS.map((one) => `sum(${one}) as ${one}`).join(', '))}
          from usage_hourly where provider = ${provider} and hour >= ${time(fromMs)} and hour < ${time(toMs)}
          group by 1, 2
        ), own as (
          select date_trunc('day', created_at, 'UTC') as day, coalesce(model, '') as model,
            count(*) filter (where outcome not in ('error', 'cut')) as requests,
            coalesce(sum(cost_pico), 0) as cost_pico,
            ${sql.raw(SUMS.map((one) => `sum(${one}) as ${one}`).join(', '))}
          from calls where provider = ${provider} and created_at >= ${time(fromMs)} and created_at < ${time(toMs)}
            and charge is not null and charged_pico is null
          group by 1, 2
        ), platform as (
          select b.day, b.model,
            ${sql.raw(['requests', 'cost_pico', ...SUMS].map((one) => `b.${one} - coalesce(o.${one}, 0) as ${one}`).join(', '))}
          from booked as b left join own as o on o.day = b.day and o.model = b.model
        )
        select to_char(day at time zone 'UTC', 'YYYY-MM-DD') as day, model, requests::bigint as requests,
          (usage_input + usage_audio_input + usage_image_input)::bigint as input,
          (usage_output + usage_audio_output + usage_image_output)::bigint as output,
          usage_cache_read::bigint as cache_read, usage_cache_write_5m::bigint as cache_write_5m,
          usage_cache_write_1h::bigint as cache_write_1h, cost_pico::text as cost_pico
        from platform order by 1, 2`.execute(db)
      return rows.map((row) => ({
        day: row.day,
        model: row.model,
        figures: {
          requests: row.requests,
          input: row.input,
          cacheRead: row.cache_read,
          cacheWrite5m: row.cache_write_5m,
          cacheWrite1h: row.cache_write_1h,
          output: row.output,
          costPico: BigInt(row.cost_pico),
        },
      }))
    },

    async save(change, made) {
      if (made.length === 0) return
      await db.transaction().execute(async (trx) => {
        const { provider } = made[0]!
        // One at a time for a provider: two would both want to be the latest.
        await sql`select pg_advisory_xact_lock(hashtextextended(${`reconcile:${provider}`}, 0))`.execute(trx)
        for (const one of made) {
          await trx
            .updateTable('reconciliations')
            .set({ latest: false })
            .where('provider', '=', one.provider)
            .where('day', '=', one.day)
            .where('latest', '=', true)
            .execute()
          await trx.insertInto('reconciliations').values(columnsOf(one)).execute()
          const rows = one.rows.map((row) => ({ reconciliation_id: one.id, ...rowColumns(row) }))
          for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
            await trx
              .insertInto('reconciliation_rows')
              .values(rows.slice(at, at + ROWS_AT_ONCE))
              .execute()
          }
        }
        const days = made.map(({ day, status }) => ({ day, status }))
        await audit(trx, change, { type: 'reconciliation', id: provider, before: null, after: { days } })
      })
    },

    async list({ provider, status, history, limit, after }) {
      let query = db.selectFrom('reconciliations').selectAll().orderBy('id', 'desc').limit(limit)
      if (provider !== null) query = query.where('provider', '=', provider)
      if (status !== null) query = query.where('status', '=', status)
      if (!history) query = query.where('latest', '=', true)
      if (after !== null) query = query.where('id', '<', after)
      return (await query.execute()).map(shown)
    },

    async find(id) {
      const row = await db.selectFrom('reconciliations').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : shown(row)
    },

    async rows(id, { limit, after }) {
      let query = db.selectFrom('reconciliation_rows').selectAll().where('reconciliation_id', '=', id)
      if (after !== null) query = query.where('model', '>', after)
      return (await query.orderBy('model').limit(limit).execute()).map((row) => ({
        model: row.model,
        status: row.status,
        ...sidesOf(row),
      }))
    },
  }
}

/** Each has 17 parameters, and a statement takes 65 535. */
const ROWS_AT_ONCE = 500

interface OurRow {
  readonly day: string
  readonly model: string
  readonly requests: number
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write_5m: number
  readonly cache_write_1h: number
  readonly cost_pico: string
}

type Row = Selectable<ReconciliationsTable>
type Sides = Pick<Reconciliation, 'ours' | 'theirs'>

function columnsOf(one: NewReconciliation): Row {
  const { id, provider, day, status, models } = one
  return {
    ...{ id, provider, day, status, models, models_off: one.modelsOff, latest: true },
    ...{ created_at: new Date(one.createdAtMs), created_by: one.createdBy, tolerance_ppm: one.tolerancePpm },
    ...sideColumns(one),
  }
}

function rowColumns({ model, status, ...sides }: ReconciliationRow) {
  return { model, status, ...sideColumns(sides) }
}

function sideColumns({ ours, theirs }: Sides) {
  return {
    ours_requests: ours.requests,
    ours_input: ours.input,
    ours_cache_read: ours.cacheRead,
    ours_cache_write_5m: ours.cacheWrite5m,
    ours_cache_write_1h: ours.cacheWrite1h,
    ours_output: ours.output,
    ours_cost_pico: ours.costPico?.toString() ?? null,
    theirs_requests: theirs.requests,
    theirs_input: theirs.input,
    theirs_cache_read: theirs.cacheRead,
    theirs_cache_write_5m: theirs.cacheWrite5m,
    theirs_cache_write_1h: theirs.cacheWrite1h,
    theirs_output: theirs.output,
    theirs_cost_pico: theirs.costPico?.toString() ?? null,
  }
}

function sidesOf(row: Row | Selectable<ReconciliationRowsTable>): Sides {
  const side = (name: 'ours' | 'theirs'): Figures => {
    const cost = row[`${name}_cost_pico`]
    return {
      requests: row[`${name}_requests`],
      input: row[`${name}_input`],
      cacheRead: row[`${name}_cache_read`],
      cacheWrite5m: row[`${name}_cache_write_5m`],
      cacheWrite1h: row[`${name}_cache_write_1h`],
      output: row[`${name}_output`],
      costPico: cost === null ? null : BigInt(cost),
    }
  }
  return { ours: side('ours'), theirs: side('theirs') }
}

function shown(row: Row): Reconciliation {
  return {
    id: row.id,
    provider: row.provider,
    day: row.day,
    latest: row.latest,
    createdAtMs: row.created_at.getTime(),
    createdBy: row.created_by,
    tolerancePpm: row.tolerance_ppm,
    status: row.status,
    models: row.models,
    modelsOff: row.models_off,
    ...sidesOf(row),
  }
}

function time(epochMs: number) {
  return sql`to_timestamp(${epochMs}::float8 / 1000)`
}
