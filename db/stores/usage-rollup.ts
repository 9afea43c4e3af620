import { sql } from 'kysely'
import { all, type Condition, HOUR_MS, time } from './usage-sql.ts'

export const DAY_MS = 24 * HOUR_MS

/** A stretch of time on the borders of hours, its end not in it, in epoch milliseconds. Null: open at that end. */
export interface Stretch {
  readonly fromMs: number | null
  readonly toMs: number | null
  /** Times that no day's row may reach across: rows are wanted of the hours before them and behind them. */
  readonly cuts?: readonly number[]
}

/**
 * The sums over a stretch of time as a table `u`, with the columns of `usage_hourly` and the beginning of each row's time as `at`:
 * a row a day where a whole day is in it, and a row an hour for the rest.
 * @param where conditions of columns that both rollups have
 */
export function rollup(where: readonly Condition[], stretch: Stretch): Condition {
  const { fromMs, toMs, cuts = [] } = stretch
  const ends = [fromMs, toMs, ...cuts].filter((one) => one !== null && one % DAY_MS !== 0)
  const split = [...new Set(ends.map((one) => one! - (one! % DAY_MS)))]
  const days = [
    ...where,
    ...(fromMs === null ? [] : [sql`day >= ${time(fromMs)}`]),
    ...(toMs === null ? [] : [sql`day < ${time(toMs)}`]),
    ...split.map((day) => sql`day <> ${time(day)}`),
  ]
  const hours = split.map((day) => [
    ...where,
    sql`hour >= ${time(Math.max(day, fromMs ?? day))}`,
    sql`hour < ${time(Math.min(day + DAY_MS, toMs ?? Infinity))}`,
  ])
  const parts = [
    sql`select day as at, ${COLUMNS} from usage_daily where ${all(days)}`,
    ...hours.map((conditions) => sql`select hour, ${COLUMNS} from usage_hourly where ${all(conditions)}`),
  ]
  return sql`(${sql.join(parts, sql` union all `)}) as u`
}

const COLUMNS = sql`organization_id, project_id, key_id, provider, model, requests, errors, cached, usage_input,
  usage_cache_read, usage_cache_write_5m, usage_cache_write_1h, usage_output, usage_reasoning, usage_audio_input,
  usage_audio_output, usage_image_input, usage_image_output, latency_us, cost_pico, charged_pico, spend_pico, platform_pico`
