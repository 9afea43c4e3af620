import type Stripe from 'stripe'
import { BILLING_PERIODS, type BillingPeriod, centsOf, lookupKeyOf } from '../../db/model/billing.ts'
import type { Plan } from '../../db/model/plans.ts'
import { Missing } from './client.ts'
import type { BillingParts } from './parts.ts'

/** What of a plan Stripe sells. */
export interface SoldPrice {
  readonly plan: string
  readonly period: BillingPeriod
  /** `price_…` */
  readonly id: string
  /** `prod_…`, of the plan. */
  readonly product: string
}

export interface Prices {
  /** The prices at Stripe of all that is sold, made where they weren't there yet; in the order of the plans. */
  sold(): Promise<readonly SoldPrice[]>
}

/** So many names fit into one question. */
const NAMES = 10
const INTERVALS = { monthly: 'month', yearly: 'year' } as const

/**
 * Products and prices of the plans. A price is named by its plan, period and amount, so that another amount is another
 * price; those who pay the old one go on with it. However many instances make one at once, there is one.
 */
export function openPrices(parts: BillingParts): Prices {
  const known = new Map<string, SoldPrice>()

  async function look(names: readonly string[]): Promise<void> {
    for (let from = 0; from < names.length; from += NAMES) {
      const lookup_keys = names.slice(from, from + NAMES)
      const { data } = await parts.stripe((stripe) => stripe.prices.list({ lookup_keys, active: true, limit: 100 }))
      for (const price of data) if (price.lookup_key !== null) note(price.lookup_key, price)
    }
  }

  function note(name: string, price: Stripe.Price): void {
    const [, plan = '', period = ''] = name.split(':')
    const product = typeof price.product === 'string' ? price.product : price.product.id
    known.set(name, { plan, period: period as BillingPeriod, id: price.id, product })
  }

  async function make(plan: Plan, period: BillingPeriod, cents: number): Promise<void> {
    const product = await productOf(parts, plan)
    const lookup_key = lookupKeyOf(plan.id, period, cents)
    const price = await parts.stripe((stripe) =>
      stripe.prices.create(
        {
          ...{ product, currency: 'usd', unit_amount: cents, lookup_key },
          recurring: { interval: INTERVALS[period] },
          metadata: { watchllm_plan: plan.id },
        },
        { idempotencyKey: `watchllm-price-${lookup_key}` },
      ),
    )
    note(lookup_key, price)
  }

  return {
    async sold() {
      const wanted = parts.plans.all().flatMap((plan) =>
        BILLING_PERIODS.flatMap((period) => {
          const cents = centsOf(plan, period)
          return cents === null ? [] : [{ plan, period, cents, name: lookupKeyOf(plan.id, period, cents) }]
        }),
      )
      await look(wanted.map(({ name }) => name).filter((name) => !known.has(name)))
      for (const { plan, period, cents, name } of wanted) if (!known.has(name)) await make(plan, period, cents)
      return wanted.map(({ name }) => known.get(name)!)
    },
  }
}

/** Its id is ours: nobody can make a second one. */
async function productOf({ stripe }: BillingParts, plan: Plan): Promise<string> {
  const id = `watchllm_${plan.id}`
  try {
    return (await stripe((client) => client.products.retrieve(id))).id
  } catch (thrown) {
    if (!(thrown instanceof Missing)) throw thrown
  }
  const product = { id, name: plan.name, metadata: { watchllm_plan: plan.id } }
  const made = await stripe((client) =>
    client.products.create(product, { idempotencyKey: `watchllm-product-${plan.id}-${plan.name}` }),
  )
  return made.id
}

/** The plan that a price of a subscription is about; null: none of ours. */
export function planOf({ metadata, lookup_key, product }: Stripe.Price): string | null {
  const productId = typeof product === 'string' ? product : product.id
  const named = /^watchllm:([^:]+):/.exec(lookup_key ?? '')?.[1] ?? /^watchllm_(.+)$/.exec(productId)?.[1]
  return metadata.watchllm_plan ?? named ?? null
}
