import { type Kysely, sql } from 'kysely'
import type { Scope } from '../model/access.ts'
import { addTotals, type UsageTotals } from '../model/usage-query.ts'
import type { Schema } from '../schema/index.ts'
import { findOrganizationWindow } from './usage-hours.ts'
import { DAY_MS, rollup } from './usage-rollup.ts'
import { CALL_SUMS, type Condition, ROLLUP_SUMS, type SumsRow, time, totalsOf } from './usage-sql.ts'

export const BREAKDOWNS = ['key', 'model', 'provider', 'end_user', 'project'] as const
export type BreakdownBy = (typeof BREAKDOWNS)[number]

/** Whole hours: `fromMs` and `toMs` are on their borders. Null: from the first, or to the last. */
export interface SumsAsk {
  readonly projectId: string | null
  readonly fromMs: number | null
  readonly toMs: number | null
}

export interface DayTotals {
  /** The day's midnight, UTC. */
  readonly dayMs: number
  readonly totals: UsageTotals
}

export interface PartTotals {
  /** Null: calls without it. */
  readonly id: string | null
  /** Of a key or a project; null: it has none, or is gone. */
  readonly name: string | null
  readonly totals: UsageTotals
}

export interface Parts {
  /** Most requests first. */
  readonly parts: readonly PartTotals[]
  readonly hasMore: boolean
  /** Later than what was asked for: calls before it are not in these sums. */
  readonly coveredFromMs: number | null
}

export interface UsageSums {
  /** Days with calls, in their order. */
  days(scope: Scope, ask: SumsAsk): Promise<readonly DayTotals[]>
  /** Most requests first. By end user only the newest calls are counted, if there are many. */
  parts(scope: Scope, ask: SumsAsk, by: { readonly by: BreakdownBy; readonly limit: number }): Promise<Parts>
  /** Most requests first. */
  models(scope: Scope, ask: SumsAsk): Promise<readonly ModelTotals[]>
  /** Requests of the organization that reached a provider since a time, and tokens since a later one; both on the border of an hour. */
  used(
    scope: Scope,
    since: { readonly requestsMs: number; readonly tokensMs: number },
  ): Promise<{ readonly requests: number; readonly tokens: number }>
}

export interface ModelTotals {
  /** Empty: no target was chosen. */
  readonly provider: string
  readonly model: string
  readonly totals: UsageTotals
}

/** Calls that a breakdown by end user looks through. */
const BUDGET = 40_000

export function usageSums(db: Kysely<Schema>): UsageSums {
  async function byEndUser(scope: Scope, ask: SumsAsk, limit: number): Promise<Parts> {
    const { fromMs, isWhole } = await findOrganizationWindow(db, of(scope, ask), { ...ask, budget: BUDGET })
    if (fromMs === null) return { parts: [], hasMore: false, coveredFromMs: null }
    const projects = sql`select id from projects where organization_id = ${scope.organizationId}`
    const { rows } = await sql<SumsRow & { readonly id: string | null }>`
      select end_user as id, ${CALL_SUMS} from calls
      where project_id ${ask.projectId === null ? sql`in (${projects})` : sql`= ${ask.projectId}`}
        and organization_id = ${scope.organizationId} and created_at >= ${time(fromMs)}
        and ${ask.toMs === null ? sql`true` : sql`created_at < ${time(ask.toMs)}`}
      group by end_user order by count(*) desc, end_user limit ${limit + 1}`.execute(db)
    return { ...partsOf(rows, limit), coveredFromMs: isWhole ? null : fromMs }
  }

  return {
    async days(scope, ask) {
      const { rows } = await sql<SumsRow & { readonly at_ms: number }>`
        select extract(epoch from at)::float8 * 1000 as at_ms, ${ROLLUP_SUMS} from ${rollup(of(scope, ask), ask)}
        group by at order by at`.execute(db)
      return foldDays(rows)
    },

    async parts(scope, ask, { by, limit }) {
      if (by === 'end_user') return byEndUser(scope, ask, limit)
      const column = sql.ref(COLUMNS[by])
      const { rows } = await sql<SumsRow & { readonly id: string | null; readonly name: string | null }>`
        select nullif(part, '') as id, ${NAMES[by]} as name, sums.* from (
          select ${column} as part, ${ROLLUP_SUMS} from ${rollup(of(scope, ask), ask)}
          group by ${column} order by 2 desc, 1 limit ${limit + 1}
        ) as sums order by sums.requests desc, part`.execute(db)
      return { ...partsOf(rows, limit), coveredFromMs: null }
    },

    async models(scope, ask) {
      const { rows } = await sql<SumsRow & { readonly provider: string; readonly model: string }>`
        select provider, model, ${ROLLUP_SUMS} from ${rollup(of(scope, ask), ask)}
        group by provider, model order by sum(requests) desc, provider, model`.execute(db)
      return rows.map((row) => ({ provider: row.provider, model: row.model, totals: totalsOf(row) }))
    },

    async used(scope, { requestsMs, tokensMs }) {
      const ask = { projectId: null, fromMs: Math.min(requestsMs, tokensMs), toMs: null, cuts: [requestsMs, tokensMs] }
      const { rows } = await sql<SumsRow & { readonly is_late: boolean; readonly is_monthly: boolean }>`
        select at >= ${time(tokensMs)} as is_late, at >= ${time(requestsMs)} and provider <> '' as is_monthly, ${ROLLUP_SUMS}
        from ${rollup(of(scope, ask), ask)} group by 1, 2`.execute(db)
      let requests = 0
      let tokens = 0
      for (const row of rows) {
        if (row.is_monthly) requests += row.requests
        if (row.is_late) tokens += row.input_tokens + row.output_tokens
      }
      return { requests, tokens }
    },
  }
}

const COLUMNS = { key: 'key_id', model: 'model', provider: 'provider', project: 'project_id' } as const
const NAMES = {
  key: sql`(select k.name from api_keys as k where k.id = part)`,
  model: sql`null::text`,
  provider: sql`null::text`,
  project: sql`(select p.name from projects as p where p.id = part)`,
} as const

function of(scope: Scope, { projectId }: SumsAsk): Condition[] {
  return [
    sql`organization_id = ${scope.organizationId}`,
    ...(projectId === null ? [] : [sql`project_id = ${projectId}`]),
  ]
}

type PartRow = SumsRow & { readonly id: string | null; readonly name?: string | null }

function partsOf(rows: readonly PartRow[], limit: number): Pick<Parts, 'parts' | 'hasMore'> {
  const parts = rows.slice(0, limit).map((row) => ({ id: row.id, name: row.name ?? null, totals: totalsOf(row) }))
  return { parts, hasMore: rows.length > limit }
}

/** Of the days at either end there may be a row for each hour. */
function foldDays(rows: readonly (SumsRow & { readonly at_ms: number })[]): DayTotals[] {
  const days: DayTotals[] = []
  for (const row of rows) {
    const dayMs = Math.floor(row.at_ms / DAY_MS) * DAY_MS
    const last = days.at(-1)
    if (last?.dayMs === dayMs) days[days.length - 1] = { dayMs, totals: addTotals(last.totals, totalsOf(row)) }
    else days.push({ dayMs, totals: totalsOf(row) })
  }
  return days
}
