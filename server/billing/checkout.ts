import type { Change, Scope, ScopedChange } from '../../db/model/access.ts'
import {
  type BillingPeriod,
  givenBy,
  PICO_PER_CENT,
  type RatedSubscription,
  TOP_UP_CENTS,
} from '../../db/model/billing.ts'
import { formatUsd } from '../../db/model/money.ts'
import { GatewayError } from '../errors.ts'
import { customerOf } from './customers.ts'
import { type BillingParts, pageOf } from './parts.ts'
import type { Portal } from './portal.ts'
import type { Prices, SoldPrice } from './prices.ts'
import { refreshCustomer } from './subscriptions.ts'
import { TOP_UP } from './top-ups.ts'

export interface PlanOrder {
  readonly plan: string
  readonly period: BillingPeriod
}

export interface Sale {
  readonly prices: Prices
  readonly portal: Portal
}

/**
 * Where an organization gets a plan: Stripe's checkout; or its portal when it has a subscription already, since a second
 * one would be paid beside the first. What Stripe says then, by events, is what counts: the browser is believed nothing.
 */
export async function planCheckout(
  parts: BillingParts,
  change: ScopedChange,
  { order, sale }: { readonly order: PlanOrder; readonly sale: Sale },
): Promise<string> {
  const price = await priceOf(parts, sale.prices, order)
  const customer = await customerOf(parts, change)
  await refreshCustomer(parts, customer)
  const present = await presentOf(parts, change)
  if (present !== null) return changed(present, { order, sale, customer, price })
  const metadata = { watchllm_organization: change.organizationId, watchllm_plan: order.plan }
  return opened(parts, {
    ...{ mode: 'subscription', customer, client_reference_id: change.organizationId, metadata },
    line_items: [{ price: price.id, quantity: 1 }],
    subscription_data: { metadata },
  })
}

async function priceOf(parts: BillingParts, prices: Prices, { plan, period }: PlanOrder): Promise<SoldPrice> {
  const sold = await prices.sold()
  const found = sold.find((one) => one.plan === plan && one.period === period)
  if (found !== undefined) return found
  const names = [...new Set(sold.filter((one) => one.period === period).map((one) => one.plan))]
  const isKnown = parts.plans.all().some(({ id }) => id === plan)
  const message = `${isKnown ? 'This plan is not sold' : 'There is no such plan'} ${period}; sold are ${names.join(', ')}`
  throw new GatewayError('invalid_request', message, { param: 'plan' })
}

/** The subscription that an organization goes on with; null: it has none, or only what has ended. */
async function presentOf(parts: BillingParts, scope: Scope): Promise<RatedSubscription | null> {
  const all = await parts.stores.billing.subscriptions(scope)
  const live = all.filter(({ status }) => LIVE.has(status))
  return givenBy(live, parts.plans.all(), parts.clock.now())?.subscription ?? live[0] ?? null
}

const LIVE = new Set(['active', 'trialing', 'past_due', 'unpaid', 'paused'])

function changed(
  present: RatedSubscription,
  { order, sale, customer, price }: { order: PlanOrder; sale: Sale; customer: string; price: SoldPrice },
): Promise<string> {
  const { id: subscription, itemId, plan, period, status, endsAtMs } = present
  const isSound = (status === 'active' || status === 'trialing') && endsAtMs === null && itemId !== null
  // What isn't paid, or is about to end, must be seen to first.
  if (!isSound) return sale.portal.open(customer, null)
  if (plan === order.plan && period === order.period) {
    throw new GatewayError('invalid_request', 'The organization is subscribed to this plan already', { param: 'plan' })
  }
  const items = [{ id: itemId, price: price.id, quantity: 1 }]
  const type = 'subscription_update_confirm'
  return sale.portal.open(customer, { type, subscription_update_confirm: { subscription, items } })
}

/** Where credits are paid for. @param cents US cents */
export async function topUpCheckout(parts: BillingParts, change: ScopedChange, cents: number): Promise<string> {
  const { min, max } = TOP_UP_CENTS
  if (!Number.isInteger(cents) || cents < min || cents > max) {
    const message = `A top-up is from ${usd(min)} to ${usd(max)} USD, in whole cents`
    throw new GatewayError('invalid_request', message, { param: 'amount_usd' })
  }
  const customer = await customerOf(parts, change)
  const metadata = { watchllm_kind: TOP_UP, watchllm_organization: change.organizationId }
  const product_data = { name: `Credits of ${usd(cents)} USD` }
  return opened(parts, {
    ...{ mode: 'payment', customer, client_reference_id: change.organizationId, metadata },
    line_items: [{ price_data: { currency: 'usd', unit_amount: cents, product_data }, quantity: 1 }],
    payment_intent_data: { metadata },
    // In dollars, so that what is paid is what is credited.
    adaptive_pricing: { enabled: false },
  })
}

export async function portalOf(parts: BillingParts, change: Change & Scope, portal: Portal): Promise<string> {
  return portal.open(await customerOf(parts, change), null)
}

type Wish = NonNullable<Parameters<Create>[0]>
type Create = import('stripe').default['checkout']['sessions']['create']

async function opened(parts: BillingParts, wish: Wish): Promise<string> {
  const pages = { success_url: pageOf(parts, '?checkout=done'), cancel_url: pageOf(parts, '?checkout=cancelled') }
  const session = await parts.stripe((stripe) => stripe.checkout.sessions.create({ ...wish, ...pages }))
  if (session.url !== null) return session.url
  throw new GatewayError('service_unavailable', 'Stripe did not say where to pay; try again')
}

function usd(cents: number): string {
  return formatUsd(BigInt(cents) * PICO_PER_CENT)
}
