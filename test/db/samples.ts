import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { CallRecord } from '../../db/model/calls.ts'
import { makeId } from '../../db/model/ids.ts'
import type { Price, Rates } from '../../db/model/money.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import type { Database } from '../../db/open.ts'

export const NOON_MS = Date.UTC(2026, 4, 17, 12)

/** A call that is done; each has an id of its own. */
export function sampleCall(changes: Partial<CallRecord> = {}): CallRecord {
  const createdAtMs = changes.createdAtMs ?? NOON_MS
  return {
    id: makeId('req', createdAtMs, randomBytes(16)),
    createdAtMs,
    organizationId: 'org_a',
    projectId: 'prj_a',
    keyId: 'key_a',
    endpoint: 'chat.completions',
    modelRequested: 'gpt-4o-mini',
    model: 'gpt-4o-mini-2024-07-18',
    provider: 'openai',
    stream: true,
    status: 200,
    outcome: 'done',
    errorCode: null,
    usage: { ...NO_USAGE, input: 100, cacheRead: 20, output: 50, reasoning: 7 },
    usageSource: 'provider',
    priceId: 'price_a',
    costPico: 90_450_000,
    chargedPico: null,
    latencyUs: 523_000,
    overheadUs: 310,
    firstByteUs: 201_000,
    attempts: 1,
    route: 'model',
    adapted: null,
    upstreamId: 'chatcmpl-1',
    clientRequestId: null,
    endUser: null,
    metadata: null,
    charge: null,
    tries: null,
    ...changes,
  }
}

export function samplePrice(changes: Partial<Price> = {}): Price {
  const rates: Rates = {
    input: 150_000,
    cacheRead: 75_000,
    cacheWrite5m: 0,
    cacheWrite1h: 0,
    output: 600_000,
    audioInput: 0,
    audioOutput: 0,
    imageInput: 0,
    imageOutput: 0,
  }
  return {
    id: 'price_a',
    provider: 'openai',
    model: 'gpt-4o-mini',
    source: 'override',
    perCall: 0,
    rates,
    tiers: [{ aboveInput: 200_000, rates: { ...rates, input: 300_000 } }],
    ...changes,
  }
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Both rollups as they stand, and as counting all calls again would make them: text, one line a row. */
export async function rollupAndRecount(database: Database): Promise<{ rollup: string[]; recount: string[] }> {
  const hours = await sumsAndRecount(database, 'hour', 'usage_hourly')
  const days = await sumsAndRecount(database, 'day', 'usage_daily')
  return { rollup: [...hours.rollup, ...days.rollup], recount: [...hours.recount, ...days.recount] }
}

async function sumsAndRecount(
  { db }: Database,
  unit: 'hour' | 'day',
  table: 'usage_hourly' | 'usage_daily',
): Promise<{ rollup: string[]; recount: string[] }> {
  const counters = `usage_input, usage_cache_read, usage_cache_write_5m, usage_cache_write_1h, usage_output,
    usage_reasoning, usage_audio_input, usage_audio_output, usage_image_input, usage_image_output`
  const sums = counters.split(',').map((one) => `sum(${one})`)
  const rollup = await sql
    .raw<{ row: string }>(
      `select row(${unit} at time zone 'UTC', project_id, key_id, provider, model, organization_id, requests, errors,
        ${counters}, latency_us, cost_pico, charged_pico, spend_pico, platform_pico)::text as row from ${table} order by 1`,
    )
    .execute(db)
  const recount = await sql
    .raw<{ row: string }>(
      `select row(at, project_id, key_id, provider, model, organization_id, n, bad, ${sums.map((_, i) => `s${i}`).join(', ')},
        latency, cost, charged, spend, platform)::text as row
      from (
        select date_trunc('${unit}', created_at at time zone 'UTC') as at, project_id, key_id,
          coalesce(provider, '') as provider, coalesce(model, '') as model, organization_id, count(*) as n,
          count(*) filter (where outcome in ('error', 'cut')) as bad, ${sums.map((one, i) => `${one} as s${i}`).join(', ')},
          sum(latency_us) as latency, coalesce(sum(cost_pico), 0) as cost,
          coalesce(sum(charged_pico), 0) as charged, coalesce(sum(coalesce(charged_pico, cost_pico)), 0) as spend,
          coalesce(sum(case when charged_pico is null and charge is not null then 0 else cost_pico end), 0) as platform
        from calls group by 1, 2, 3, 4, 5, 6
      ) as counted order by 1`,
    )
    .execute(db)
  return { rollup: rollup.rows.map((one) => one.row), recount: recount.rows.map((one) => one.row) }
}
