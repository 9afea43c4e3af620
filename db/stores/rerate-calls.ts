import { type Kysely, sql } from 'kysely'
import { COUNTER_COLUMNS } from '../model/call-columns.ts'
import { firstIdAt } from '../model/ids.ts'
import type { RatedCall } from '../model/rerate.ts'
import type { Usage, UsageSource } from '../model/usage.ts'
import type { Schema } from '../schema/index.ts'
import { time } from './usage-sql.ts'

/** Calls of a model within a time, its end not in it, in epoch milliseconds. */
export interface Span {
  readonly provider: string
  /** The name of the model that answered, or the beginning of names followed by `*`. */
  readonly model: string
  readonly fromMs: number
  readonly toMs: number
}

export interface RerateCall extends RatedCall {
  readonly createdAtMs: number
  readonly organizationId: string
  readonly model: string
}

/** Rows looked at by one query, some 10 ms on the embedded database, and the most that is held in memory. */
const ROWS = 5_000

/** All such calls, page by page in the order of their ids, which carry the time of the call: between two pages the event loop and the database are others'. */
export async function* callPages(db: Kysely<Schema>, span: Span): AsyncGenerator<readonly RerateCall[]> {
  const { provider, model, fromMs, toMs } = span
  const end = firstIdAt('req', toMs)
  const isModel = model.endsWith('*') ? sql`starts_with(model, ${model.slice(0, -1)}::text)` : sql`model = ${model}`
  for (let after = firstIdAt('req', fromMs); ; ) {
    // Where a page ends, found in the index alone: however few of its calls are of the model, it is no more work.
    const last = await sql<{ id: string }>`
      select id from calls where id > ${after} and id < ${end} order by id offset ${ROWS - 1} limit 1`.execute(db)
    const until = last.rows[0]?.id ?? null
    const { rows } = await sql<CallRow>`
      select created_at, organization_id, model, usage_source, cost_pico, charged_pico, charge, ${COUNTERS} from calls
      where id > ${after} and ${until === null ? sql`id < ${end}` : sql`id <= ${until}`}
        and created_at >= ${time(fromMs)} and created_at < ${time(toMs)}
        and provider = ${provider} and ${isModel}`.execute(db)
    if (rows.length > 0) yield rows.map(callOf)
    if (until === null) return
    after = until
  }
}

const COUNTERS = sql.raw(COUNTER_COLUMNS.map(({ column }) => column).join(', '))

interface CallRow {
  readonly [counter: string]: unknown
  readonly created_at: Date
  readonly organization_id: string
  readonly model: string
  readonly usage_source: UsageSource
  readonly cost_pico: number | null
  readonly charged_pico: number | null
  readonly charge: string | null
}

function callOf(row: CallRow): RerateCall {
  const usage = Object.fromEntries(COUNTER_COLUMNS.map(({ field, column }) => [field, row[column]]))
  return {
    createdAtMs: row.created_at.getTime(),
    organizationId: row.organization_id,
    model: row.model,
    usage: usage as unknown as Usage,
    usageSource: row.usage_source,
    costPico: row.cost_pico,
    chargedPico: row.charged_pico,
    charge: row.charge,
  }
}
