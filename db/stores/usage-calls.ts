import { type Kysely, sql } from 'kysely'
import type { Outcome } from '../model/calls.ts'
import { addTotals, NO_TOTALS, type UsageFilter, type UsagePosition, type UsageTotals } from '../model/usage-query.ts'
import type { Schema } from '../schema/index.ts'
import { findWindows, IN_WINDOW, type Window, type Windows, windowTable } from './usage-hours.ts'
import { rollup, type Stretch } from './usage-rollup.ts'
import {
  type Ask,
  after,
  all,
  CACHED,
  CALL_SUMS,
  type Condition,
  dimensions,
  failureOf,
  HOUR_MS,
  INPUT_TOKENS,
  inIndex,
  isInRollup,
  narrow,
  OUTPUT_TOKENS,
  ofProject,
  possible,
  ROLLUP_SUMS,
  type SumsRow,
  totalsOf,
  wide,
  within,
} from './usage-sql.ts'

/** One call as the log shows it. */
export interface LoggedCall {
  readonly id: string
  readonly createdAtMs: number
  readonly keyId: string
  readonly endpoint: string
  readonly modelRequested: string
  readonly model: string | null
  readonly provider: string | null
  readonly stream: boolean
  readonly status: number
  readonly outcome: Outcome
  readonly errorCode: string | null
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costPico: number | null
  /** Null: it isn't charged to credits. */
  readonly chargedPico: number | null
  readonly cached: boolean
  readonly latencyUs: number
  readonly firstByteUs: number | null
  readonly endUser: string | null
  readonly metadata: string | null
}

export interface LogPage {
  readonly calls: readonly LoggedCall[]
  /** Where the next page begins; null: this is the last. A page may be short, or empty, and still have a next one. */
  readonly next: UsagePosition | null
}

export interface UsageSummary {
  readonly totals: UsageTotals
  /** False: there are at least as many, and these sums are over the newest of them only. */
  readonly isExact: boolean
}

export interface UsageCalls {
  /**
   * Newest first. The work for a page is bounded, however many calls there are: with filters that only few calls pass,
   * pages can be short of `limit`.
   */
  page(ask: Ask, wish: { readonly limit: number; readonly after: UsagePosition | null }): Promise<LogPage>
  summary(ask: Ask): Promise<UsageSummary>
}

/** How much work one question may be. */
export interface Bounds {
  /** Calls that are looked through at most, save that an hour is taken whole. */
  readonly scanned: number
  /** Calls found by an index that are looked at one by one: each may lie on another page of the table. */
  readonly found: number
}

/** Failures that are looked through, of whatever kind, for each that may be found. */
const PASSED_OVER = 5

/** Each some 25 ms on the embedded database. */
const BOUNDS: Bounds = { scanned: 25_000, found: 1_000 }

const COLUMNS = sql`id, created_at, key_id, endpoint, model_requested, model, provider, stream, status, outcome, error_code,
  ${INPUT_TOKENS} as input_tokens, ${OUTPUT_TOKENS} as output_tokens, cost_pico, charged_pico, ${CACHED} as cached, latency_us,
  first_byte_us, end_user, metadata`
const NEWEST = sql`order by created_at desc, id desc`

/** Looking for words in a text takes several times as long as anything else. */
function boundsOf({ metadata }: UsageFilter, { scanned, found }: Bounds): Bounds {
  if (metadata === undefined) return { scanned, found }
  return { scanned: Math.ceil(scanned / 3), found: Math.ceil(found / 4) }
}

export function usageCalls(db: Kysely<Schema>, bounds = BOUNDS): UsageCalls {
  const few = oncePerQuestion(countFew)
  const newest = oncePerQuestion((ask) => windowsOf(ask, null, null))

  /** Whether an index finds so few that all of them can be looked at. */
  async function countFew(ask: Ask): Promise<boolean> {
    const { found } = boundsOf(ask.filter, bounds)
    const failure = failureOf(ask.filter)
    const through = failure.length === 0 ? found : found * PASSED_OVER
    const conditions = [ofProject(ask), ...within(ask.filter), ...inIndex(ask.filter)]
    const { rows } = await sql<{ seen: number; found: number }>`
      select count(*) as seen, count(*) filter (where ${all(failure)}) as found
      from (select status, outcome from calls where ${all(conditions)} limit ${through + 1}) as c`.execute(db)
    return rows[0]!.seen <= through && rows[0]!.found <= found
  }

  function windowsOf(ask: Ask, position: UsagePosition | null, enough: number | null): Promise<Windows> {
    return findWindows(db, ask, { after: position, budget: boundsOf(ask.filter, bounds).scanned, enough })
  }

  async function read(from: Condition, limit: number): Promise<LogPage> {
    const { rows } = await sql<Row>`${from} ${NEWEST} limit ${limit + 1}`.execute(db)
    const calls = rows.slice(0, limit).map(callOf)
    return { calls, next: rows.length > limit ? positionOf(calls.at(-1)!) : null }
  }

  async function page(ask: Ask, wish: Parameters<UsageCalls['page']>[1]): Promise<LogPage> {
    const { filter } = ask
    const behind = after(wish.after)
    const found = narrow(filter)
    const others = [...dimensions(filter), ...wide(filter)]
    if (isOrdered(filter) && others.length === 0) {
      return read(sql`select ${COLUMNS} from calls where ${all([...indexed(ask), ...behind])}`, wish.limit)
    }
    if (found.length > 0 && (await few(ask))) {
      return read(
        sql`with few as materialized (${indexedCalls(ask)}) select ${COLUMNS} from few where ${all([...others, ...behind])}`,
        wish.limit,
      )
    }
    const enough = isInRollup(filter) ? wish.limit + 1 : null
    const isNewest = wish.after === null && enough === null
    const { windows, olderMs } = await (isNewest ? newest(ask) : windowsOf(ask, wish.after, enough))
    if (windows.length === 0) return { calls: [], next: null }
    const conditions = all([...indexed(ask, true), ...others, ...behind, IN_WINDOW])
    const inside = sql`select ${COLUMNS} from calls where ${conditions} ${NEWEST} limit ${wish.limit + 1}`
    const result = await read(
      sql`select c.* from ${windowTable(windows)} cross join lateral (${inside}) as c`,
      wish.limit,
    )
    if (result.next !== null || olderMs === null) return result
    return { ...result, next: { createdAtMs: olderMs, id: '' } }
  }

  async function sumOf(calls: Condition, others: readonly Condition[]): Promise<UsageTotals> {
    const { rows } = await sql<SumsRow>`with few as materialized (${calls})
      select ${CALL_SUMS} from few where ${all(others)}`.execute(db)
    return totalsOf(rows[0]!)
  }

  async function sumIn(ask: Ask, windows: readonly Window[]): Promise<UsageTotals> {
    if (windows.length === 0) return NO_TOTALS
    const { filter } = ask
    const conditions = [...indexed(ask, true), ...dimensions(filter), ...wide(filter), IN_WINDOW]
    // `offset 0` keeps each window a scan of its own: joined, they can become one of the whole table.
    const { rows } = await sql<SumsRow>`select ${CALL_SUMS} from ${windowTable(windows)}
      cross join lateral (select * from calls where ${all(conditions)} offset 0) as c`.execute(db)
    return totalsOf(rows[0]!)
  }

  /** Whole hours from their sums, and what is left of an hour at either end from its calls. */
  async function sumHours(ask: Ask): Promise<UsageTotals> {
    const { whole, parts } = splitHours(ask.filter)
    const inside = await sumIn(ask, parts)
    if (whole === null) return inside
    const { rows } = await sql<SumsRow>`select ${ROLLUP_SUMS}
      from ${rollup([ofProject(ask), ...possible(ask.filter)], whole)}`.execute(db)
    return addTotals(totalsOf(rows[0]!), inside)
  }

  async function summary(ask: Ask): Promise<UsageSummary> {
    const { filter } = ask
    if (isInRollup(filter)) return { totals: await sumHours(ask), isExact: true }
    const others = [...dimensions(filter), ...wide(filter)]
    if (narrow(filter).length > 0) {
      if (await few(ask)) return { totals: await sumOf(indexedCalls(ask), others), isExact: true }
      if (isOrdered(filter) && others.length === 0) {
        const newest = sql`${indexedCalls(ask)} ${NEWEST} limit ${bounds.found}`
        return { totals: await sumOf(newest, []), isExact: false }
      }
    }
    const { windows, olderMs } = await newest(ask)
    return { totals: await sumIn(ask, windows), isExact: olderMs === null }
  }

  return { page, summary }
}

/** Found out once for a question's page and its sums: they are asked with the same filter, the very object. */
function oncePerQuestion<T>(find: (ask: Ask) => Promise<T>): (ask: Ask) => Promise<T> {
  const found = new WeakMap<UsageFilter, Promise<T>>()
  return (ask) => {
    const known = found.get(ask.filter) ?? find(ask)
    found.set(ask.filter, known)
    return known
  }
}

/** What the indexes of `calls` know. */
function indexed(ask: Ask, inWindows = false): Condition[] {
  return [ofProject(ask), ...within(ask.filter), ...narrow(ask.filter, inWindows)]
}

function indexedCalls(ask: Ask): Condition {
  return sql`select * from calls where ${all(indexed(ask))}`
}

/** Whether one index has the calls in the log's order. */
function isOrdered({ status, endUser, metadata }: UsageFilter): boolean {
  return metadata === undefined && (status === undefined || endUser === undefined)
}

/** The whole hours of a time, and the parts of hours before and behind them. */
function splitHours({ fromMs, toMs }: UsageFilter): {
  readonly whole: Stretch | null
  readonly parts: readonly Window[]
} {
  const first = fromMs === undefined ? null : Math.ceil(fromMs / HOUR_MS) * HOUR_MS
  const end = toMs === undefined ? null : Math.floor(toMs / HOUR_MS) * HOUR_MS
  if (fromMs !== undefined && toMs !== undefined && first! > end!) {
    return { whole: null, parts: [{ from: end!, to: first! }] }
  }
  return {
    whole: { fromMs: first, toMs: end },
    // The calls' own times still hold: of these hours only the parts count.
    parts: [
      ...(first === null || first === fromMs ? [] : [{ from: first - HOUR_MS, to: first }]),
      ...(end === null || end === toMs ? [] : [{ from: end, to: end + HOUR_MS }]),
    ],
  }
}

interface Row {
  readonly id: string
  readonly created_at: Date
  readonly key_id: string
  readonly endpoint: string
  readonly model_requested: string
  readonly model: string | null
  readonly provider: string | null
  readonly stream: boolean
  readonly status: number
  readonly outcome: Outcome
  readonly error_code: string | null
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_pico: number | null
  readonly charged_pico: number | null
  readonly cached: boolean
  readonly latency_us: number
  readonly first_byte_us: number | null
  readonly end_user: string | null
  readonly metadata: string | null
}

function callOf(row: Row): LoggedCall {
  return {
    id: row.id,
    createdAtMs: row.created_at.getTime(),
    keyId: row.key_id,
    endpoint: row.endpoint,
    modelRequested: row.model_requested,
    model: row.model,
    provider: row.provider,
    stream: row.stream,
    status: row.status,
    outcome: row.outcome,
    errorCode: row.error_code,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    costPico: row.cost_pico,
    chargedPico: row.charged_pico,
    cached: row.cached,
    latencyUs: row.latency_us,
    firstByteUs: row.first_byte_us,
    endUser: row.end_user,
    metadata: row.metadata,
  }
}

function positionOf({ createdAtMs, id }: LoggedCall): UsagePosition {
  return { createdAtMs, id }
}
