import { type Plan, spendNanoOf } from './plans.ts'
import type { OwnLimits } from './settings.ts'

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

/** What limits a key's calls, from where it is kept. */
export interface LimitSources {
  readonly keyId: string
  readonly projectId: string
  readonly organizationId: string
  readonly plan: Plan
  /** Of the key's settings and the project's; absent: none. */
  readonly key?: OwnLimits
  readonly project?: OwnLimits
  /** Budgets of the key and of the project; see limitOfBudget. */
  readonly budgets?: readonly Limit[]
}

const OWNERS = ['key', 'project', 'organization'] as const
const PERIODS: readonly LimitPeriod[] = ['minute', 'day', 'week', 'month', 'total']
const NONE: readonly Limit[] = []

/** Every limit that holds for a key's calls: the key's first, then the project's and the organization's, each from the shortest period on. */
export function limitsOf(sources: LimitSources): readonly Limit[] {
  const { keyId, projectId, organizationId, plan, key, project, budgets = NONE } = sources
  const found = [
    ...(key === undefined ? NONE : ownLimits(key, { of: 'key', by: 'settings', id: keyId })),
    ...(project === undefined ? NONE : ownLimits(project, { of: 'project', by: 'settings', id: projectId })),
    ...planLimits(plan, organizationId),
    ...budgets,
  ]
  return found.length === 0 ? NONE : found.sort(byNarrowness)
}

/** Name of the one counter that an owner has of a kind and a period, budgets aside. */
export function counterOf(what: Counted, period: LimitPeriod, ownerId: string): string {
  return `${what}:${period}:${ownerId}`
}

/** Name of the counter of all that an organization has ever spent of its credits. */
export function creditsCounterOf(organizationId: string): string {
  return `credits:${organizationId}`
}

interface Owner {
  readonly of: Limit['of']
  readonly by: 'plan' | 'settings'
  readonly id: string
}

function planLimits(plan: Plan, organizationId: string): Limit[] {
  const owner = { of: 'organization', by: 'plan', id: organizationId } as const
  return [...ownLimits(plan, owner), ...limitOf('spend', 'month', { ...owner, limit: spendNanoOf(plan) })]
}

function ownLimits(own: OwnLimits, owner: Owner): Limit[] {
  return [
    ...limitOf('requests', 'minute', { ...owner, limit: own.requestsPerMinute }),
    ...limitOf('tokens', 'minute', { ...owner, limit: own.tokensPerMinute }),
    ...limitOf('requests', 'day', { ...owner, limit: own.requestsPerDay }),
    ...limitOf('tokens', 'day', { ...owner, limit: own.tokensPerDay }),
    ...limitOf('requests', 'month', { ...owner, limit: own.requestsPerMonth }),
    ...limitOf('tokens', 'month', { ...owner, limit: own.tokensPerMonth }),
  ]
}

function limitOf(
  what: Counted,
  period: LimitPeriod,
  { of, by, id, limit }: Owner & { readonly limit: number | null | undefined },
): Limit[] {
  if (limit === null || limit === undefined) return []
  return [{ of, by, what, period, anchorMs: null, limit, hard: true, counter: counterOf(what, period, id) }]
}

function byNarrowness(one: Limit, other: Limit): number {
  return (
    OWNERS.indexOf(one.of) - OWNERS.indexOf(other.of) || PERIODS.indexOf(one.period) - PERIODS.indexOf(other.period)
  )
}
