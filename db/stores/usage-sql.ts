import { type RawBuilder, sql } from 'kysely'
import type { Scope } from '../model/access.ts'
import type { UsageFilter, UsagePosition, UsageTotals } from '../model/usage-query.ts'

export const HOUR_MS = 3_600_000

export type Condition = RawBuilder<unknown>

/** One project's calls. */
export interface Ask {
  readonly scope: Scope
  readonly projectId: string
  readonly filter: UsageFilter
}

/**
 * Whether a call was answered from a cache. There is no cache yet, so that none was; with it, this becomes a column of
 * `calls`. `usage_hourly.cached` counts the same already.
 */
export const CACHED = sql<boolean>`false`
/** As long as that is so. */
const SAVED_PICO = 0n

/** As the partial index has it. */
const FAILED = sql`(outcome <> 'done' or status <> 200)`

export const INPUT_TOKENS = sql<number>`(usage_input::bigint + usage_cache_read + usage_cache_write_5m
  + usage_cache_write_1h + usage_audio_input + usage_image_input)`
export const OUTPUT_TOKENS = sql<number>`(usage_output::bigint + usage_audio_output + usage_image_output)`

/** Sums over rows of `calls`, as a SumsRow. */
export const CALL_SUMS = sql`count(*) as requests, count(*) filter (where outcome in ('error', 'cut')) as errors,
  count(*) filter (where ${CACHED}) as cached, coalesce(sum(${INPUT_TOKENS}), 0)::bigint as input_tokens,
  coalesce(sum(${OUTPUT_TOKENS}), 0)::bigint as output_tokens, coalesce(sum(cost_pico), 0)::text as cost_pico,
  coalesce(sum(charged_pico), 0)::text as charged_pico,
  coalesce(sum(latency_us), 0)::bigint as latency_us`

/** Sums over rows of either rollup, as a SumsRow. */
export const ROLLUP_SUMS = sql`coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(errors), 0)::bigint as errors,
  coalesce(sum(cached), 0)::bigint as cached, coalesce(sum(${INPUT_TOKENS}), 0)::bigint as input_tokens,
  coalesce(sum(${OUTPUT_TOKENS}), 0)::bigint as output_tokens, coalesce(sum(cost_pico), 0)::text as cost_pico,
  coalesce(sum(charged_pico), 0)::text as charged_pico,
  coalesce(sum(latency_us), 0)::bigint as latency_us`

export interface SumsRow {
  readonly requests: number
  readonly errors: number
  readonly cached: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_pico: string
  readonly charged_pico: string
  readonly latency_us: number
}

export function totalsOf(row: SumsRow): UsageTotals {
  return {
    requests: row.requests,
    errors: row.errors,
    cached: row.cached,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    costPico: BigInt(row.cost_pico),
    chargedPico: BigInt(row.charged_pico),
    latencyUs: row.latency_us,
    savedPico: SAVED_PICO,
  }
}

export function all(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `)
}

export function time(epochMs: number): Condition {
  return sql`cast(${new Date(epochMs)} as timestamptz)`
}

/** In rows of `calls` or a rollup. */
export function ofProject({ scope, projectId }: Ask): Condition {
  return sql`project_id = ${projectId} and organization_id = ${scope.organizationId}`
}

export function within({ fromMs, toMs }: UsageFilter): Condition[] {
  return [
    ...(fromMs === undefined ? [] : [sql`created_at >= ${time(fromMs)}`]),
    ...(toMs === undefined ? [] : [sql`created_at < ${time(toMs)}`]),
  ]
}

/** Older than a position. The first half is what an index on the time alone can do with it. */
export function after(position: UsagePosition | null): Condition[] {
  if (position === null) return []
  const at = time(position.createdAtMs)
  return [sql`created_at <= ${at}`, sql`(created_at < ${at} or id < ${position.id})`]
}

/** Of columns that `calls` and the rollups have. */
export function dimensions({ model, keyId, provider }: UsageFilter): Condition[] {
  return [
    ...(model === undefined ? [] : [sql`model = ${model}`]),
    ...(keyId === undefined ? [] : [sql`key_id = ${keyId}`]),
    ...(provider === undefined ? [] : [sql`provider = ${provider}`]),
  ]
}

/**
 * What an index of its own answers, for the few calls that it holds.
 * @param inWindows the calls are those of given hours: asking the index of words for each of them would take longer
 */
export function narrow(filter: UsageFilter, inWindows = false): Condition[] {
  return [...failureOf(filter), ...inIndex(filter, inWindows)]
}

/** Which of the failures that an index holds. */
export function failureOf({ status }: UsageFilter): Condition[] {
  // Hidden from the planner: it takes this and FAILED for independent, expects few, and sorts them all instead of walking the index.
  return isFailure(status) ? [sql`coalesce(${statusIs(status)}, false)`] : []
}

/** The conditions of `narrow` that the indexes themselves answer. */
export function inIndex({ status, endUser, metadata }: UsageFilter, inWindows = false): Condition[] {
  return [
    ...(isFailure(status) ? [FAILED] : []),
    ...(endUser === undefined ? [] : [sql`end_user = ${endUser}`]),
    ...(metadata === undefined ? [] : [inWindows ? sql`coalesce(${hasWords(metadata)}, false)` : hasWords(metadata)]),
  ]
}

/** What can only be seen in the call itself. */
export function wide({ status, cached, minCostPico, maxCostPico }: UsageFilter): Condition[] {
  return [
    ...(status === undefined || isFailure(status) ? [] : [statusIs(status)]),
    ...(cached === undefined ? [] : [sql`${CACHED} = ${cached}`]),
    ...(minCostPico === undefined ? [] : [sql`cost_pico >= cast(${minCostPico.toString()}::text as numeric)`]),
    ...(maxCostPico === undefined ? [] : [sql`cost_pico <= cast(${maxCostPico.toString()}::text as numeric)`]),
  ]
}

/** The rows of a rollup in whose time such calls may be: no other holds one. */
export function possible(filter: UsageFilter): Condition[] {
  const { status, cached } = filter
  return [
    ...dimensions(filter),
    ...(status === 'error' || status === 'cut' ? [sql`errors > 0`] : []),
    ...(cached === undefined ? [] : [cached ? sql`cached > 0` : sql`requests > cached`]),
  ]
}

/** Whether the hours' sums are the calls' sums. */
export function isInRollup(filter: UsageFilter): boolean {
  const { cached: _, ...others } = filter
  return narrow(others).length === 0 && wide(others).length === 0
}

function isFailure(status: UsageFilter['status']): status is Exclude<UsageFilter['status'], undefined> {
  return status !== undefined && status !== 'ok' && status !== 200
}

function statusIs(status: Exclude<UsageFilter['status'], undefined>): Condition {
  if (typeof status === 'number') return sql`status = ${status}`
  return sql`outcome = ${status === 'ok' ? 'done' : status}`
}

/**
 * The expression is the index's; see there for the x. JSON may write letters by their codes, so that those are looked for as well. A text
 * without any word is in nothing.
 */
function hasWords(text: string): Condition {
  const escaped = text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return sql`metadata is not null
    and to_tsvector('simple'::regconfig, regexp_replace(metadata, '[^[:alnum:]]+', ' x', 'g')) @@ ${
      escaped === text ? wordQuery(text) : sql`(${wordQuery(text)} || ${wordQuery(escaped)})`
    }`
}

function wordQuery(text: string): Condition {
  const words = sql`trim(regexp_replace(${text}::text, '[^[:alnum:]]+', ' ', 'g'))`
  return sql`to_tsquery('simple'::regconfig, 'x' || replace(nullif(${words}, ''), ' ', ' & x') || ':*')`
}
