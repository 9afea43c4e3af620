import type { RowStatus } from '../model/reconcile.ts'

/** A key that reads a provider's usage and costs. */
export interface AdminCredentialsTable {
  id: string
  provider: string
  name: string
  /** Envelope of the vault. */
  sealed: string
  /** The key's last characters. */
  hint: string
  base_url: string | null
  only_projects: string[]
  checked_at: Date | null
  check_result: string | null
  created_at: Date
  updated_at: Date
}

/** What both sides say; null: a side doesn't. Costs are whole pico-dollars as text. */
interface SidesColumns {
  ours_requests: number | null
  ours_input: number | null
  ours_cache_read: number | null
  ours_cache_write_5m: number | null
  ours_cache_write_1h: number | null
  ours_output: number | null
  ours_cost_pico: string | null
  theirs_requests: number | null
  theirs_input: number | null
  theirs_cache_read: number | null
  theirs_cache_write_5m: number | null
  theirs_cache_write_1h: number | null
  theirs_output: number | null
  theirs_cost_pico: string | null
}

export interface ReconciliationsTable extends SidesColumns {
  id: string
  provider: string
  /** `2026-11-21`, in UTC. */
  day: string
  latest: boolean
  created_at: Date
  created_by: string
  tolerance_ppm: number
  status: 'ok' | 'off'
  models: number
  models_off: number
}

export interface ReconciliationRowsTable extends SidesColumns {
  reconciliation_id: string
  /** Empty: what belongs to no model. */
  model: string
  status: RowStatus
}
