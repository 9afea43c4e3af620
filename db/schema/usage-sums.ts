import type { ColumnType } from 'kysely'

/** Sums over the calls of one hour (UTC) with the same project, key, provider and model; equal to a recount at any time. */
export interface UsageHourlyTable extends UsageSums {
  hour: Date
}

/** The same by the day (UTC). */
export interface UsageDailyTable extends UsageSums {
  day: Date
}

interface UsageSums {
  requests: number
  /** Calls whose outcome is `error` or `cut`; an aborted call is the caller's choice. */
  errors: number
  /** Calls answered from the cache. */
  cached: number
  usage_input: number
  usage_cache_read: number
  usage_cache_write_5m: number
  usage_cache_write_1h: number
  usage_output: number
  usage_reasoning: number
  usage_audio_input: number
  usage_audio_output: number
  usage_image_input: number
  usage_image_output: number
  latency_us: number
  /** Whole pico-dollars as text: sums pass what a number holds. Calls without a price count as 0. */
  cost_pico: string
  /** Whole pico-dollars as text: what of the calls was charged. */
  charged_pico: ColumnType<string, string | undefined, string>
  /** Whole pico-dollars as text: what counts against limits of spending, so what was charged, else the cost. */
  spend_pico: ColumnType<string, string | undefined, string>
  /** Whole pico-dollars as text: the cost of those that went with accounts of the platform. */
  platform_pico: ColumnType<string, string | undefined, string>
  organization_id: string
  project_id: string
  key_id: string
  /** Empty when no target was chosen. */
  provider: string
  model: string
}
