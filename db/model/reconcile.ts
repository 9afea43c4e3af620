/** What one side says of the calls to a model on one day (UTC). Null: it doesn't say. */
export interface Figures {
  /** Calls that were answered. */
  readonly requests: number | null
  /** Fresh input of every kind, in tokens; the counters are disjoint, as Usage's are. */
  readonly input: number | null
  readonly cacheRead: number | null
  readonly cacheWrite5m: number | null
  readonly cacheWrite1h: number | null
  /** Output of every kind, in tokens. */
  readonly output: number | null
  /** Pico-dollars. */
  readonly costPico: bigint | null
}

export const TOKEN_FIGURES = ['input', 'cacheRead', 'cacheWrite5m', 'cacheWrite1h', 'output'] as const
export const COUNTED_FIGURES = ['requests', ...TOKEN_FIGURES] as const

/** A side that says nothing. */
export const NO_FIGURES: Figures = Object.freeze({
  requests: null,
  input: null,
  cacheRead: null,
  cacheWrite5m: null,
  cacheWrite1h: null,
  output: null,
  costPico: null,
})

/** Both together; what only one says is taken from that one. */
export function addFigures(a: Figures, b: Figures): Figures {
  const sum = (x: number | null, y: number | null): number | null => (x === null ? y : y === null ? x : x + y)
  return {
    requests: sum(a.requests, b.requests),
    input: sum(a.input, b.input),
    cacheRead: sum(a.cacheRead, b.cacheRead),
    cacheWrite5m: sum(a.cacheWrite5m, b.cacheWrite5m),
    cacheWrite1h: sum(a.cacheWrite1h, b.cacheWrite1h),
    output: sum(a.output, b.output),
    costPico: a.costPico === null ? b.costPico : b.costPico === null ? a.costPico : a.costPico + b.costPico,
  }
}

/** `missing_ours`: the provider charges for what our books don't have; `missing_theirs`: the other way round. */
export const ROW_STATUSES = ['ok', 'off', 'missing_ours', 'missing_theirs'] as const
export type RowStatus = (typeof ROW_STATUSES)[number]

export interface ReconciliationRow {
  /** As prices name it; '': what the provider charges that belongs to no model. */
  readonly model: string
  readonly status: RowStatus
  readonly ours: Figures
  readonly theirs: Figures
}

/** One comparison of one day with one provider. */
export interface Reconciliation {
  /** `rec_…` */
  readonly id: string
  readonly provider: string
  /** `2026-11-21`, in UTC. */
  readonly day: string
  /** No later one of this day is there. */
  readonly latest: boolean
  readonly createdAtMs: number
  /** Who had it made. */
  readonly createdBy: string
  /** What both sides may differ by, in millionths of the larger. */
  readonly tolerancePpm: number
  /** `off`: some model is. */
  readonly status: 'ok' | 'off'
  readonly models: number
  readonly modelsOff: number
  readonly ours: Figures
  readonly theirs: Figures
}

/** A key that reads a provider's usage and costs, as it may be shown; it is never used for calls. */
export interface AdminCredential {
  /** `adk_…` */
  readonly id: string
  readonly provider: string
  readonly name: string
  /** The key's last characters. */
  readonly hint: string
  readonly baseUrl: string | null
  /** Ids of the provider's projects or workspaces that are this gateway's; empty: all are. */
  readonly onlyProjects: readonly string[]
  readonly checkedAtMs: number | null
  /** `ok`, or what the provider said when it was last used. */
  readonly checkResult: string | null
  readonly createdAtMs: number
}

export const MAX_ADMIN_CREDENTIALS = 50

/** What the vault binds an admin credential's envelope to. */
export function adminCredentialContext(id: string): string {
  return `admin-credential:${id}`
}

const DAY_MS = 86_400_000

/** The day that a time is in. */
export function dayAt(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}

/** When a day begins, epoch milliseconds. */
export function dayMs(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}

/** The days from the first to the last, both included; none when the last is before the first. */
export function daysBetween(first: string, last: string): string[] {
  const days: string[] = []
  for (let ms = dayMs(first); ms <= dayMs(last); ms += DAY_MS) days.push(dayAt(ms))
  return days
}
