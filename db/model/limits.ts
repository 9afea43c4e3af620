/** What is counted. Spend is nano-dollars: what is charged for a call, else what its provider asks for it. */
export type Counted = 'requests' | 'tokens' | 'spend'

export type LimitPeriod = 'minute' | 'day' | 'week' | 'month' | 'total'

/** One limit that holds for a key's calls: its own, its project's or its organization's. */
export interface Limit {
  readonly of: 'key' | 'project' | 'organization'
  /** Where it comes from: the plan, settings of a key or project, or a budget's id (`bud_…`). */
  readonly by: 'plan' | 'settings' | string
  readonly what: Counted
  readonly period: LimitPeriod
  /** Periods begin at multiples of theirs after this, epoch milliseconds; null: with the calendar in UTC, weeks on Monday. */
  readonly anchorMs: number | null
  /** Requests, tokens or nano-dollars a period. */
  readonly limit: number
  /** False: passing it is only told of (a soft budget). */
  readonly hard: boolean
  /** Name of its counter in kv, which names whose and what it is, and never its limit. */
  readonly counter: string
}

/** What an organization that pays in advance has, as the ledger knew it when this was read. */
export interface Credits {
  /** All that was ever paid in, granted or corrected; nano-dollars. What is spent is counted in kv from zero up to this. */
  readonly grantedNano: number
  /** What the ledger has as spent by now; the counter in kv is never below it. Nano-dollars, rounded up. */
  readonly spentNano: number
  /** What its calls cost against the list price: 10_000 is 1.0. */
  readonly multiplier: number
}
