import type { Plan } from './plans.ts'

export const BILLING_PERIODS = ['monthly', 'yearly'] as const
export type BillingPeriod = (typeof BILLING_PERIODS)[number]

/** So many failed payments end what a subscription gives, until it is paid. */
export const MAX_FAILURES = 3

/** A top-up at least and at most, US cents. */
export const TOP_UP_CENTS = { min: 500, max: 1_000_000 } as const

/** A cent in pico-dollars. */
export const PICO_PER_CENT = 10_000_000_000n

/** A subscription as Stripe last told of it. Times are epoch milliseconds. */
export interface Subscription {
  /** `sub_…` */
  readonly id: string
  /** Of its plan within it: `si_…`. */
  readonly itemId: string | null
  /** Stripe's word: `active`, `trialing`, `past_due`, `canceled`, … */
  readonly status: string
  /** Null: it is about something that is no plan of ours. */
  readonly plan: string | null
  readonly period: BillingPeriod | null
  readonly periodEndMs: number | null
  /** When it ends by itself, or has ended; null: it goes on. */
  readonly endsAtMs: number | null
  /** Stripe gave it up because nobody paid. */
  readonly endedUnpaid: boolean
  readonly createdAtMs: number
}

/** A subscription, and how often its payment has failed since it last went well. */
export interface RatedSubscription extends Subscription {
  readonly failures: number
}

const LIVE = ['active', 'trialing', 'past_due']

/** Until when a subscription gives its plan: epoch milliseconds, Infinity while it goes on, null when it gives nothing. */
export function givesUntil({ status, failures, ...subscription }: RatedSubscription, nowMs: number): number | null {
  const { plan, periodEndMs, endsAtMs, endedUnpaid } = subscription
  if (plan === null || failures >= MAX_FAILURES || endedUnpaid) return null
  // What was cancelled in the middle of a period is paid for until its end.
  const untilMs = status === 'canceled' ? (failures > 0 ? 0 : (periodEndMs ?? 0)) : (endsAtMs ?? Infinity)
  if (status !== 'canceled' && !LIVE.includes(status)) return null
  return untilMs > nowMs ? untilMs : null
}

export interface Given {
  /** The one that counts: of the best plan, of several such the newest. */
  readonly subscription: RatedSubscription
  /** When this has to be decided again, epoch milliseconds; null: when Stripe says something. */
  readonly decideAgainMs: number | null
}

/**
 * What an organization's subscriptions give it, null: nothing. The order in which they are named changes nothing.
 * @param plans by their order, the smallest first; a subscription to another plan gives nothing
 */
export function givenBy(
  subscriptions: readonly RatedSubscription[],
  plans: readonly Pick<Plan, 'id'>[],
  nowMs: number,
): Given | null {
  const rank = (one: RatedSubscription): number => plans.findIndex(({ id }) => id === one.plan)
  let best: RatedSubscription | null = null
  let decideAgainMs = Infinity
  for (const one of subscriptions) {
    const untilMs = givesUntil(one, nowMs)
    if (untilMs === null || rank(one) < 0) continue
    decideAgainMs = Math.min(decideAgainMs, untilMs)
    if (best === null || isBetter(one, best, rank)) best = one
  }
  if (best === null) return null
  return { subscription: best, decideAgainMs: decideAgainMs === Infinity ? null : decideAgainMs }
}

function isBetter(one: RatedSubscription, other: RatedSubscription, rank: (of: RatedSubscription) => number): boolean {
  const by = rank(one) - rank(other) || one.createdAtMs - other.createdAtMs
  return by === 0 ? one.id > other.id : by > 0
}

/** What an invoice's status ends in goes behind what it begins with: what is heard late never sets it back. */
export const INVOICE_STATUSES = ['draft', 'open', 'uncollectible', 'void', 'paid'] as const

/** A plan's price for a period, US cents; null: it isn't sold so. */
export function centsOf(plan: Plan, period: BillingPeriod): number | null {
  const cents = period === 'monthly' ? plan.priceMonthlyCents : plan.priceYearlyCents
  return cents === 0 || plan.hidden || plan.archived ? null : cents
}

/** Names a price at Stripe: another amount is another price. */
export function lookupKeyOf(plan: string, period: BillingPeriod, cents: number): string {
  return `watchllm:${plan}:${period}:${cents}`
}
