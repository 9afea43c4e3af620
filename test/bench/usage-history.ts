import { CompiledQuery } from 'kysely'
import type { Database } from '../../db/open.ts'

/** What the generated history holds; the names are used by the bench's questions. */
export const HISTORY = {
  organizationId: 'org_bench000000000000000000000',
  /** The greatest of the projects: half of all calls. */
  projectId: 'prj_bench0000000000000000000a0',
  keyId: 'key_bench0000000000000000000a0',
  rareKeyId: 'key_bench0000000000000000000a3',
  commonModel: 'gpt-4o-mini-2024-07-18',
  rareModel: 'o1-pro-2025-03-19',
  /** About one an hour in the whole of the history. */
  scarceModel: 'mistral-large-2411',
  provider: 'openai',
  rareProvider: 'mistral',
  hotUser: 'user-1',
  rareUser: 'user-1999',
  fromMs: Date.UTC(2026, 4, 1),
  toMs: Date.UTC(2026, 4, 31),
} as const

const BATCH = 50_000

/** One statement makes rows $1 to $2 of $3; everything follows from the row's number, so that each run is the same. */
const ROWS = `
insert into calls (created_at, cost_pico, latency_us, overhead_us, first_byte_us, status, attempts, stream, usage_input,
  usage_cache_read, usage_cache_write_5m, usage_cache_write_1h, usage_output, usage_reasoning, usage_audio_input,
  usage_audio_output, usage_image_input, id, organization_id, project_id, key_id, endpoint, model_requested, model,
  provider, outcome, error_code, usage_source, price_id, route, adapted, upstream_id, client_request_id, end_user, metadata)
select to_timestamp(${HISTORY.fromMs / 1000} + floor(i * 2592000000.0 / $3::int) / 1000),
  case when bad = 'error' then null else (h2 % 5000) * 1000000::bigint end, 200000 + h3 % 9000000, 300, 150000 + h3 % 700000,
  case bad when 'error' then (array[400, 429, 502])[1 + h1 % 3] when 'aborted' then 499 else 200 end,
  1, h1 % 2 = 0, h2 % 4000, 0, 0, 0, h3 % 900, 0, 0, 0, 0,
  'req_' || lpad(to_hex(i), 10, '0') || substr(md5(i::text), 1, 16),
  '${HISTORY.organizationId}', 'prj_bench0000000000000000000' || p || '0', 'key_bench0000000000000000000' || p || k,
  'chat.completions', m.model, m.model, m.provider, bad, case when bad = 'error' then 'provider_error' end, 'provider',
  'price_a', 'model', null, 'chatcmpl-' || md5(i::text), null,
  case when h4 % 10 < 3 then 'user-' || floor(2000 * power((h4 / 10 % 1000) / 1000.0, 3)) end,
  case when h4 % 100 >= 95 then '{"team":"team-' || h1 % 20 || '","trace":"' || substr(md5(i::text), 1, 12) || '","env":"production"}' end
from (
  select i, (hashint4(i) & 2147483647) as h1, (hashint4(i + 100000000) & 2147483647) as h2, (hashint4(i + 200000000) & 2147483647) as h3,
    (hashint4(i + 300000000) & 2147483647) as h4 from generate_series($1::int, $2::int) as i
) as n
cross join lateral (select
  case when h1 % 100 < 50 then 'a' when h1 % 100 < 75 then 'b' when h1 % 100 < 90 then 'c' when h1 % 100 < 99 then 'd' else 'e' end as p,
  case when h2 % 100 < 60 then '0' when h2 % 100 < 85 then '1' when h2 % 1000 < 998 then '2' else '3' end as k,
  case when h3 % 1000 < 20 then 'error' when h3 % 1000 < 25 then 'aborted' when h3 % 1000 < 27 then 'cut' else 'done' end as bad,
  case when i % 50021 = 0 then 0 when i % 1399 = 0 then 1 else 2 + least(9, floor(10 * power((h1 / 100 % 1000) / 1000.0, 2)))::int end as mi
) as picked
cross join lateral (select
  (array['${HISTORY.rareModel}', '${HISTORY.scarceModel}', '${HISTORY.commonModel}', 'gpt-4o-2024-08-06', 'claude-sonnet-4-5', 'claude-haiku-4-5',
    'gemini-2.5-flash', 'gemini-2.5-pro', 'deepseek-chat', 'gpt-5-mini', 'gpt-5', 'text-embedding-3-small'])[1 + mi] as model,
  (array['openai', 'mistral', 'openai', 'openai', 'anthropic', 'anthropic', 'google', 'google', 'deepseek', 'openai', 'openai', 'openai'])[1 + mi] as provider
) as m`

const COUNTERS = `usage_input, usage_cache_read, usage_cache_write_5m, usage_cache_write_1h, usage_output, usage_reasoning,
  usage_audio_input, usage_audio_output, usage_image_input, usage_image_output`

const HOURS = `
insert into usage_hourly (project_id, hour, key_id, provider, model, organization_id, requests, errors, ${COUNTERS}, latency_us, cost_pico, spend_pico, platform_pico)
select project_id, date_trunc('hour', created_at, 'UTC'), key_id, coalesce(provider, ''), coalesce(model, ''), organization_id,
  count(*), count(*) filter (where outcome in ('error', 'cut')), ${COUNTERS.split(',')
    .map((one) => `sum(${one})`)
    .join(', ')},
  sum(latency_us), coalesce(sum(cost_pico), 0), coalesce(sum(cost_pico), 0), coalesce(sum(cost_pico), 0)
from calls group by 1, 2, 3, 4, 5, 6`

const SUMS = `requests, errors, ${COUNTERS}, latency_us, cost_pico, spend_pico, platform_pico`
const DAYS = `
insert into usage_daily (project_id, day, key_id, provider, model, organization_id, ${SUMS})
select project_id, date_trunc('day', hour, 'UTC'), key_id, provider, model, organization_id,
  ${SUMS.split(',')
    .map((one) => `sum(${one})`)
    .join(', ')}
from usage_hourly group by 1, 2, 3, 4, 5, 6`

/** Fills an empty database with an organization of five projects and `rows` calls over 30 days. */
export async function makeHistory({ db }: Database, rows: number): Promise<void> {
  const run = (sql: string, parameters: unknown[] = []) => db.executeQuery(CompiledQuery.raw(sql, parameters))
  const { organizationId } = HISTORY
  await run(`insert into organizations (id, name, plan, created_at) values ($1, 'Bench', 'agency', now())`, [
    organizationId,
  ])
  await run(
    `insert into projects (id, organization_id, name, created_at)
    select 'prj_bench0000000000000000000' || p || '0', $1, p, now() from unnest(array['a', 'b', 'c', 'd', 'e']) as p`,
    [organizationId],
  )
  for (let at = 0; at < rows; at += BATCH) await run(ROWS, [at, Math.min(at + BATCH, rows) - 1, rows])
  await run(HOURS)
  await run(DAYS)
  await run('vacuum analyze usage_hourly')
  await run('vacuum analyze usage_daily')
  await run('analyze calls')
}
