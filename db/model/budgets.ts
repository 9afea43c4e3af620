import type { Counted, Limit } from './limits.ts'

export const BUDGET_PERIODS = ['day', 'week', 'month', 'total'] as const
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number]

/** What one key, and what one project, may have. */
export const MAX_BUDGETS = 20

/** What calls of a project or of one key may use in a period. */
export interface Budget {
  /** `bud_…` */
  readonly id: string
  readonly projectId: string
  /** Null: all of the project's keys together. */
  readonly keyId: string | null
  readonly what: Counted
  readonly period: BudgetPeriod
  /** Periods begin at multiples of theirs after this, epoch milliseconds; null: with the calendar. See periods.ts. */
  readonly anchorMs: number | null
  /** Requests, tokens or nano-dollars a period. */
  readonly limit: number
  /** False: passing it is only told of. */
  readonly hard: boolean
  /** Counts how often its counter began anew: another generation is another counter, which is filled from the calls. */
  readonly generation: number
  /** A user's id, null: unknown. */
  readonly createdBy: string | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A budget as the line holds it against calls. */
export function limitOfBudget(
  budget: Pick<Budget, 'id' | 'keyId' | 'what' | 'period' | 'anchorMs' | 'limit' | 'hard' | 'generation'>,
): Limit {
  const { id, keyId, what, period, anchorMs, limit, hard, generation } = budget
  const of = keyId === null ? 'project' : 'key'
  return { of, by: id, what, period, anchorMs, limit, hard, counter: `bud:${id}:${generation}` }
}
