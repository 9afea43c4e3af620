import type { BudgetPeriod } from '../model/budgets.ts'
import type { Counted } from '../model/limits.ts'

/** A Budget; see db/model/budgets.ts. */
export interface BudgetsTable {
  id: string
  organization_id: string
  project_id: string
  key_id: string | null
  what: Counted
  period: BudgetPeriod
  anchor_at: Date | null
  /** Requests, tokens or nano-dollars. */
  amount: number
  hard: boolean
  generation: number
  created_by: string | null
  created_at: Date
  updated_at: Date
}

/** What the platform's accounts at a provider may cost. */
export interface ProviderLimitsTable {
  provider: string
  /** A day (UTC), in nano-dollars; null: any. */
  stop_nano: number | null
  /** Until then the stop pauses nothing: somebody has resumed a provider that had reached it. */
  stop_free_until: Date | null
  paused_at: Date | null
  paused_reason: string | null
  updated_at: Date
}
