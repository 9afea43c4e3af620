import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { SpendPeriod } from '../model/alerts.ts'
import { periodOf } from '../model/periods.ts'
import type { Schema } from '../schema/index.ts'
import type { OwnedRule } from './alert-outbox.ts'
import { ruleOf } from './alerts.ts'

export interface Overspent extends OwnedRule {
  readonly period: SpendPeriod
  readonly periodStartMs: number
  readonly spentPico: bigint
}

export interface Failing extends OwnedRule {
  /** Counts windows of the rule's length since the epoch. */
  readonly window: number
  readonly errors: number
  readonly calls: number
}

/** Rules that are about sums of calls, held against the rollups. */
export interface AlertWatchStore {
  /** Those of `spend` whose amount is reached in the running period (UTC). @param organizationId null: of all */
  overspent(nowMs: number, organizationId: string | null): Promise<readonly Overspent[]>
  /** Those of `error_rate` whose share of failed calls is reached in the hours up to now. */
  failing(nowMs: number): Promise<readonly Failing[]>
}

const HOUR_MS = 3_600_000

type RuleRow = Parameters<typeof ruleOf>[0]

export function alertWatchStore(db: Kysely<Schema>): AlertWatchStore {
  return {
    async overspent(nowMs, organizationId) {
      const startOf = (period: SpendPeriod): number => periodOf({ period, anchorMs: null }, nowMs).startMs
      const since = (period: SpendPeriod): RawBuilder<unknown> => sql`${new Date(startOf(period))}::timestamptz`
      const only = organizationId === null ? sql`` : sql`and r.organization_id = ${organizationId}`
      const { rows } = await sql<RuleRow & { readonly spent: string }>`
        select r.*, s.spent::text as spent from alert_rules as r, lateral (
          select coalesce(sum(u.spend_pico), 0) as spent from usage_daily as u
          where ${OF_RULE} and u.day >= case r.settings ->> 'period'
            when 'day' then ${since('day')} when 'week' then ${since('week')} else ${since('month')} end
        ) as s
        where r.kind = 'spend' and r.enabled ${only} and s.spent >= (r.settings ->> 'amountNano')::numeric * 1000
        order by r.organization_id, r.id`.execute(db)
      return rows.map(({ spent, ...row }) => {
        const period = row.settings.period ?? 'month'
        const owned = { organizationId: row.organization_id, rule: ruleOf(row) }
        return { ...owned, period, periodStartMs: startOf(period), spentPico: BigInt(spent) }
      })
    },

    async failing(nowMs) {
      const hour = Math.floor(nowMs / HOUR_MS)
      const next = sql`${new Date((hour + 1) * HOUR_MS)}::timestamptz`
      const { rows } = await sql<RuleRow & { readonly calls: number; readonly failed: number }>`
        select r.*, s.calls::float8 as calls, s.failed::float8 as failed from alert_rules as r, lateral (
          select coalesce(sum(u.requests), 0) as calls, coalesce(sum(u.errors), 0) as failed from usage_hourly as u
          where ${OF_RULE} and u.hour >= ${next} - make_interval(hours => (r.settings ->> 'windowHours')::int)
            and u.hour < ${next}
        ) as s
        where r.kind = 'error_rate' and r.enabled and s.calls >= (r.settings ->> 'minCalls')::numeric
          and s.failed * 100 >= s.calls * (r.settings ->> 'percent')::numeric
        order by r.organization_id, r.id`.execute(db)
      return rows.map(({ calls, failed, ...row }) => {
        const window = Math.floor(hour / (row.settings.windowHours ?? 1))
        return { organizationId: row.organization_id, rule: ruleOf(row), window, errors: failed, calls }
      })
    },
  }
}

const OF_RULE = sql`u.organization_id = r.organization_id and (r.project_id is null or u.project_id = r.project_id)
  and (r.key_id is null or u.key_id = r.key_id)`
