import { CALL_COLUMNS, COUNTER_COLUMNS, type ColumnType } from '../model/call-columns.ts'
import { CHARGED_OF_FRESH, POST_CHARGED } from './ledger-sql.ts'

const PG_TYPES: { readonly [T in ColumnType]: string } = {
  time: 'float8',
  bigint: 'bigint',
  int: 'int',
  boolean: 'boolean',
  text: 'text',
}

const COLUMNS = CALL_COLUMNS.map((one) => one.column).join(', ')
const COUNTERS = COUNTER_COLUMNS.map((one) => one.column)
/** Their sums pass what a bigint holds. */
const MONEY: ReadonlySet<string> = new Set(['cost_pico', 'charged_pico', 'spend_pico', 'platform_pico'])
const SUMS = ['requests', 'errors', ...COUNTERS, 'latency_us', ...MONEY]
const DIMENSIONS = 'key_id, provider, model, organization_id'

/** Adds rows to one of the rollups. Instances that add to the same rows do so in the same order, or they would wait for each other for ever. */
function addTo(table: 'usage_hourly' | 'usage_daily', time: 'hour' | 'day', rows: string): string {
  const key = `project_id, ${time}, ${DIMENSIONS}`
  return `insert into ${table} as kept (${key}, ${SUMS.join(', ')}) ${rows} order by 1, 2, 3, 4, 5, 6
  on conflict (${key}) do update set ${SUMS.map((one) => `${one} = kept.${one} + excluded.${one}`).join(', ')}`
}

/** Of rows `hours`, which are sums by the hour. */
const ADD_HOURS = addTo('usage_hourly', 'hour', `select project_id, hour, ${DIMENSIONS}, ${SUMS.join(', ')} from hours`)
const ADD_DAYS = addTo(
  'usage_daily',
  'day',
  `select project_id, date_trunc('day', hour, 'UTC'), ${DIMENSIONS}, ${SUMS.map((one) => `sum(${one})`).join(', ')}
  from hours group by 1, 2, 3, 4, 5, 6`,
)

/** What a call counts against limits of spending: what was charged for it, else what its provider asked for it. */
const SPEND = 'coalesce(charged_pico, cost_pico)'
/** Whether it went with an account of the platform: what goes with a project's own says so in its charge. */
const PLATFORM = '(charged_pico is not null or charge is null)'

/** $1: a JSON array of CallRecord. Adds what isn't there yet, counts and charges it; answers `{inserted}`. */
export const INSERT_CALLS = `
with fresh as (
  insert into calls (${COLUMNS})
  select ${CALL_COLUMNS.map(fromRecord).join(', ')}
  from json_to_recordset($1::json) as r(${recordOf()}) order by id collate "C"
  on conflict (id) do nothing
  returning id, created_at, project_id, organization_id, key_id, provider, model, outcome, latency_us, cost_pico,
    charged_pico, charge, ${COUNTERS.join(', ')}
), hours as (
  select project_id, date_trunc('hour', created_at, 'UTC') as hour, key_id, coalesce(provider, '') as provider,
    coalesce(model, '') as model, organization_id, count(*) as requests,
    count(*) filter (where outcome in ('error', 'cut')) as errors,
    ${COUNTERS.map((one) => `sum(${one}) as ${one}`).join(', ')}, sum(latency_us) as latency_us,
    coalesce(sum(cost_pico), 0) as cost_pico, coalesce(sum(charged_pico), 0) as charged_pico,
    coalesce(sum(${SPEND}), 0) as spend_pico, coalesce(sum(cost_pico) filter (where ${PLATFORM}), 0) as platform_pico
  from fresh group by 1, 2, 3, 4, 5, 6
), hourly as (
  ${ADD_HOURS}
), daily as (
  ${ADD_DAYS}
), ${CHARGED_OF_FRESH}, ${POST_CHARGED}
select count(*)::int as inserted from fresh`

/** The beginning of a COPY of rows with their columns as in CALL_COLUMNS; it fails if one is there already. */
export const COPY_CALLS = `copy calls (${COLUMNS})`

/** $1: a JSON array of rows of usage_hourly to add to both rollups, with `hour_ms` for the hour. */
export const ADD_SUMS = `
with hours as (
  select project_id, to_timestamp(hour_ms / 1000) as hour, ${DIMENSIONS}, ${SUMS.join(', ')}
  from json_to_recordset($1::json) as r(project_id text collate "C", hour_ms float8, key_id text collate "C",
    provider text collate "C", model text collate "C", organization_id text collate "C",
    ${SUMS.map((one) => `${one} ${MONEY.has(one) ? 'numeric' : 'bigint'}`).join(', ')})
), hourly as (
  ${ADD_HOURS}
)
${ADD_DAYS}`

function fromRecord({ field, counter, type, mayLack }: (typeof CALL_COLUMNS)[number]): string {
  if (counter) return mayLack === true ? `coalesce((usage)."${field}", 0)` : `(usage)."${field}"`
  return type === 'time' ? `to_timestamp("${field}" / 1000)` : `"${field}"`
}

function recordOf(): string {
  const own = CALL_COLUMNS.filter((one) => !one.counter).map(({ field, type }) => `"${field}" ${PG_TYPES[type]}`)
  return [...own, 'usage call_usage_json'].join(', ')
}
