import type { CallRecord } from './calls.ts'
import type { Usage } from './usage.ts'

/** `time`: epoch milliseconds in the record, a timestamp in the table. `bigint` holds safe integers only. */
export type ColumnType = 'time' | 'bigint' | 'int' | 'boolean' | 'text'

export interface CallColumn {
  /** In table `calls`. */
  readonly column: string
  readonly field: Exclude<keyof CallRecord, 'usage'> | keyof Usage
  /** The field stands in `usage`. */
  readonly counter: boolean
  readonly type: ColumnType
  /** Lines of journals that were written before there was such a counter don't have it: they mean 0. */
  readonly mayLack?: boolean
}

type Fields = { readonly [F in Exclude<keyof CallRecord, 'usage'>]: readonly [column: string, type: ColumnType] }

/** Fixed widths first: PostgreSQL then finds them without walking the row. */
const FIXED = {
  createdAtMs: ['created_at', 'time'],
  costPico: ['cost_pico', 'bigint'],
  chargedPico: ['charged_pico', 'bigint'],
  latencyUs: ['latency_us', 'bigint'],
  overheadUs: ['overhead_us', 'bigint'],
  firstByteUs: ['first_byte_us', 'bigint'],
  status: ['status', 'int'],
  attempts: ['attempts', 'int'],
  stream: ['stream', 'boolean'],
} as const

const TEXTS = {
  id: ['id', 'text'],
  organizationId: ['organization_id', 'text'],
  projectId: ['project_id', 'text'],
  keyId: ['key_id', 'text'],
  endpoint: ['endpoint', 'text'],
  modelRequested: ['model_requested', 'text'],
  model: ['model', 'text'],
  provider: ['provider', 'text'],
  outcome: ['outcome', 'text'],
  errorCode: ['error_code', 'text'],
  usageSource: ['usage_source', 'text'],
  priceId: ['price_id', 'text'],
  route: ['route', 'text'],
  adapted: ['adapted', 'text'],
  upstreamId: ['upstream_id', 'text'],
  clientRequestId: ['client_request_id', 'text'],
  endUser: ['end_user', 'text'],
  metadata: ['metadata', 'text'],
  charge: ['charge', 'text'],
  tries: ['tries', 'text'],
} as const

/** A field of CallRecord that is in neither list doesn't compile. */
const ALL: Fields = { ...FIXED, ...TEXTS }

const COUNTERS: { readonly [C in keyof Usage]: string } = {
  input: 'usage_input',
  cacheRead: 'usage_cache_read',
  cacheWrite5m: 'usage_cache_write_5m',
  cacheWrite1h: 'usage_cache_write_1h',
  output: 'usage_output',
  reasoning: 'usage_reasoning',
  audioInput: 'usage_audio_input',
  audioOutput: 'usage_audio_output',
  imageInput: 'usage_image_input',
  imageOutput: 'usage_image_output',
}

const MAY_LACK: ReadonlySet<keyof Usage> = new Set(['imageOutput'])

function columns(fields: Partial<Fields>): CallColumn[] {
  return (Object.keys(fields) as (keyof Fields)[]).map((field) => {
    const [column, type] = ALL[field]
    return { column, field, counter: false, type }
  })
}

/** The counters of usage with their columns, the same names in `calls` and `usage_hourly`. */
export const COUNTER_COLUMNS: readonly CallColumn[] = (Object.keys(COUNTERS) as (keyof Usage)[]).map((field) => ({
  column: COUNTERS[field],
  field,
  counter: true,
  type: 'int',
  mayLack: MAY_LACK.has(field),
}))

/** How a CallRecord lies in table `calls`: every field once, in the order in which rows are loaded. */
export const CALL_COLUMNS: readonly CallColumn[] = [...columns(FIXED), ...COUNTER_COLUMNS, ...columns(TEXTS)]
