import { type Kysely, sql } from 'kysely'
import type { UsagePosition } from '../model/usage-query.ts'
import type { Schema } from '../schema/index.ts'
import { DAY_MS } from './usage-rollup.ts'
import { type Ask, all, type Condition, HOUR_MS, ofProject, possible, time } from './usage-sql.ts'

/** A stretch of time, its end not in it, in epoch milliseconds. */
export interface Window {
  readonly from: number
  readonly to: number
}

export interface Windows {
  /** Newest first. No call that is asked for lies between them. */
  readonly windows: readonly Window[]
  /** Where older calls begin that may be asked for: before this time. Null: there are none. */
  readonly olderMs: number | null
}

interface Hour {
  readonly hour_ms: number
  /** All of the project's, which looking through the hour costs. */
  readonly calls: number
  /** Those of the rows that may hold what is asked for. */
  readonly matching: number
}

/** Hours read at a time. */
const MOST_HOURS = 2_000
const MOST_DAYS = MOST_HOURS

/** The end isn't in it; undefined or null: open. */
interface Between {
  readonly fromMs?: number | null | undefined
  readonly toMs?: number | null | undefined
}

export interface Wish {
  readonly after: UsagePosition | null
  /** Calls to look through at most; the newest hour is taken whatever it holds. */
  readonly budget: number
  /** Stop where this many must have been found; null: what is in the hours says nothing of how many there are. */
  readonly enough: number | null
}

/** The hours that may hold what is asked for, newest first, as far as looking through them stays cheap. */
export async function findWindows(db: Kysely<Schema>, ask: Ask, wish: Wish): Promise<Windows> {
  const conditions = possible(ask.filter)
  const matching = conditions.length === 0 ? sql`sum(requests)` : sql`sum(requests) filter (where ${all(conditions)})`
  const { filter } = ask
  const enough = Math.min(wish.budget, wish.enough ?? Infinity)
  const since = await oldestDay(db, [ofProject(ask), ...conditions, ...daysIn(filter, wish.after)], enough)
  if (since === null) return { windows: [], olderMs: null }
  const { rows } = await sql<Hour>`
    select extract(epoch from hour)::float8 * 1000 as hour_ms, sum(requests)::bigint as calls, ${matching}::bigint as matching
    from usage_hourly where ${all([ofProject(ask), sql`hour >= ${time(since.dayMs)}`, ...hoursIn(filter, wish.after)])}
    group by hour having ${matching} > 0 order by hour desc limit ${MOST_HOURS}`.execute(db)
  const windows: Window[] = []
  let calls = 0
  let found = 0
  for (const [at, row] of rows.entries()) {
    const from = row.hour_ms
    const to = from + HOUR_MS
    const isEnough = wish.enough !== null && found >= wish.enough
    if (at > 0 && (isEnough || calls + row.calls > wish.budget)) return { windows, olderMs: to }
    calls += row.calls
    // Of the first, a part may be behind the cursor or beyond the end of the time asked for.
    if (at > 0) found += row.matching
    const last = windows.at(-1)
    if (last?.from === to) windows[windows.length - 1] = { from, to: last.to }
    else windows.push({ from, to })
  }
  if (rows.length === MOST_HOURS) return { windows, olderMs: rows.at(-1)!.hour_ms }
  return { windows, olderMs: since.isOldest ? null : since.dayMs }
}

/**
 * The day before which no hour can be wanted, since the days from it on hold more than enough calls: what is read of the hours
 * then doesn't grow with the history. Null: there are no calls.
 */
async function oldestDay(
  db: Kysely<Schema>,
  where: readonly Condition[],
  enough: number,
): Promise<{ readonly dayMs: number; readonly isOldest: boolean } | null> {
  const { rows } = await sql<{ readonly day_ms: number; readonly calls: number }>`
    select extract(epoch from day)::float8 * 1000 as day_ms, sum(requests)::bigint as calls
    from usage_daily where ${all(where)} group by day order by day desc limit ${MOST_DAYS}`.execute(db)
  let calls = 0
  for (const [at, row] of rows.entries()) {
    // Of the first, only a part may be in the time asked for.
    if (at > 0) calls += row.calls
    if (calls > enough && at < rows.length - 1) return { dayMs: row.day_ms, isOldest: false }
  }
  const last = rows.at(-1)
  return last === undefined ? null : { dayMs: last.day_ms, isOldest: rows.length < MOST_DAYS }
}

function daysIn({ fromMs, toMs }: Between, after: UsagePosition | null = null): Condition[] {
  return [
    ...(fromMs == null ? [] : [sql`day >= ${time(Math.floor(fromMs / DAY_MS) * DAY_MS)}`]),
    ...(toMs == null ? [] : [sql`day < ${time(toMs)}`]),
    ...(after === null ? [] : [sql`day <= ${time(after.createdAtMs)}`]),
  ]
}

function hoursIn({ fromMs, toMs }: Between, after: UsagePosition | null = null): Condition[] {
  return [
    ...(fromMs == null ? [] : [sql`hour >= ${time(Math.floor(fromMs / HOUR_MS) * HOUR_MS)}`]),
    ...(toMs == null ? [] : [sql`hour < ${time(toMs)}`]),
    ...(after === null ? [] : [sql`hour <= ${time(after.createdAtMs)}`]),
  ]
}

/** Windows as a table `w` with `from_ms` and `to_ms`. */
export function windowTable(windows: readonly Window[]): Condition {
  const json = JSON.stringify(windows.map(({ from, to }) => ({ from_ms: from, to_ms: to })))
  return sql`json_to_recordset(${json}::json) as w(from_ms float8, to_ms float8)`
}

export const IN_WINDOW = sql`created_at >= to_timestamp(w.from_ms / 1000) and created_at < to_timestamp(w.to_ms / 1000)`

/**
 * The newest stretch of whole hours with no more than `budget` calls, and at least one hour of them.
 * @param where conditions of columns that both rollups have
 * @returns null for its beginning when there are no calls, and whether it holds all that there are
 */
export async function findOrganizationWindow(
  db: Kysely<Schema>,
  where: readonly Condition[],
  { budget, ...between }: Between & { readonly budget: number },
): Promise<{ readonly fromMs: number | null; readonly isWhole: boolean }> {
  const since = await oldestDay(db, [...where, ...daysIn(between)], budget)
  if (since === null) return { fromMs: null, isWhole: true }
  const hours = [...where, sql`hour >= ${time(since.dayMs)}`, ...hoursIn(between)]
  const { rows } = await sql<{ readonly hour_ms: number; readonly calls: number }>`
    select extract(epoch from hour)::float8 * 1000 as hour_ms, sum(requests)::bigint as calls
    from usage_hourly where ${all(hours)} group by hour order by hour desc limit ${MOST_HOURS}`.execute(db)
  let calls = 0
  let fromMs: number | null = null
  for (const row of rows) {
    calls += row.calls
    if (fromMs !== null && calls > budget) return { fromMs, isWhole: false }
    fromMs = row.hour_ms
  }
  return { fromMs, isWhole: since.isOldest && rows.length < MOST_HOURS }
}
