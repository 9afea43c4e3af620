import type Stripe from 'stripe'
import { scopeOf } from '../../db/model/access.ts'
import type { BillingPeriod, Subscription } from '../../db/model/billing.ts'
import { Missing } from './client.ts'
import { type BillingParts, idOf, termsOf } from './parts.ts'
import { planOf } from './prices.ts'

const PERIODS: Readonly<Record<string, BillingPeriod>> = { month: 'monthly', year: 'yearly' }
const PAGE = 100
/** Beyond so many of one customer, older ones are not looked at. */
const MOST = 1_000

/**
 * Asks Stripe for all subscriptions of a customer as they are now, and puts its organization on the plan that they give.
 * So it doesn't matter which event was the reason, or in what order they came.
 * @returns the organization, null: the customer is not ours
 */
export async function refreshCustomer(parts: BillingParts, customerId: string): Promise<string | null> {
  const { billing } = parts.stores
  const ticket = await billing.begin(customerId)
  if (ticket === null) return null
  const { organizationId } = ticket
  let subscriptions: readonly Subscription[]
  try {
    const found = await parts.stripe((stripe) =>
      stripe.subscriptions
        .list({ customer: customerId, status: 'all', limit: PAGE })
        .autoPagingToArray({ limit: MOST }),
    )
    subscriptions = found.map(subscriptionOf)
  } catch (thrown) {
    if (!(thrown instanceof Missing)) throw thrown
    // With a customer end its subscriptions.
    const known = await billing.subscriptions(scopeOf(organizationId))
    subscriptions = known.map(({ failures, ...one }) => ({ ...one, status: 'canceled' }))
  }
  await billing.putSubscriptions(ticket, subscriptions, termsOf(parts))
  return organizationId
}

/** The customer was deleted at Stripe. */
export async function dropCustomer(parts: BillingParts, customerId: string): Promise<string | null> {
  const organizationId = await refreshCustomer(parts, customerId)
  await parts.stores.billing.forgetCustomer(customerId, parts.clock.now())
  return organizationId
}

function subscriptionOf(subscription: Stripe.Subscription): Subscription {
  const { id, status, items, created, cancellation_details } = subscription
  const item = items.data.find(({ price }) => planOf(price) !== null) ?? items.data[0]
  const { interval, interval_count } = item?.price.recurring ?? { interval: '', interval_count: 0 }
  return {
    ...{ id, status, itemId: idOf(item) },
    plan: item === undefined ? null : planOf(item.price),
    period: interval_count === 1 ? (PERIODS[interval] ?? null) : null,
    periodEndMs: item === undefined ? null : item.current_period_end * 1000,
    endsAtMs: endOf(subscription, item?.current_period_end ?? null),
    endedUnpaid: status === 'canceled' && cancellation_details?.reason === 'payment_failed',
    createdAtMs: created * 1000,
  }
}

function endOf(subscription: Stripe.Subscription, periodEnd: number | null): number | null {
  const { status, ended_at, canceled_at, cancel_at, cancel_at_period_end } = subscription
  if (status === 'canceled') return inMs(ended_at ?? canceled_at)
  return inMs(cancel_at ?? (cancel_at_period_end ? periodEnd : null))
}

function inMs(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000
}
