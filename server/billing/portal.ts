import { createHash } from 'node:crypto'
import type Stripe from 'stripe'
import { type BillingParts, pageOf } from './parts.ts'
import type { Prices, SoldPrice } from './prices.ts'

type Flow = Stripe.BillingPortal.SessionCreateParams.FlowData

export interface Portal {
  /** @param flow what the person is led to at once; null: they look around. @returns the page's address */
  open(customer: string, flow: Flow | null): Promise<string>
}

/** Stripe takes so many in a portal. */
const PRODUCTS = 10

/** Stripe's customer portal, set up so that people can change between the plans that are sold. */
export function openPortal(parts: BillingParts, prices: Prices): Portal {
  const known = new Map<string, string>()

  async function configuration(): Promise<string> {
    const features = featuresOf(await prices.sold())
    const name = createHash('sha256').update(JSON.stringify(features)).digest('hex').slice(0, 32)
    const id = known.get(name) ?? (await find(name)) ?? (await make(name, features))
    known.set(name, id)
    return id
  }

  async function find(name: string): Promise<string | null> {
    const { data } = await parts.stripe((stripe) =>
      stripe.billingPortal.configurations.list({ active: true, limit: 100 }),
    )
    return data.find(({ metadata }) => metadata?.watchllm === name)?.id ?? null
  }

  async function make(
    name: string,
    features: Stripe.BillingPortal.ConfigurationCreateParams.Features,
  ): Promise<string> {
    const made = await parts.stripe((stripe) =>
      stripe.billingPortal.configurations.create(
        { features, metadata: { watchllm: name } },
        { idempotencyKey: `watchllm-portal-${name}` },
      ),
    )
    return made.id
  }

  return {
    async open(customer, flow) {
      const session = {
        ...{ customer, configuration: await configuration(), return_url: pageOf(parts) },
        ...(flow === null ? {} : { flow_data: flow }),
      }
      return (await parts.stripe((stripe) => stripe.billingPortal.sessions.create(session))).url
    },
  }
}

function featuresOf(sold: readonly SoldPrice[]): Stripe.BillingPortal.ConfigurationCreateParams.Features {
  const products = new Map<string, string[]>()
  for (const { product, id } of sold) products.set(product, [...(products.get(product) ?? []), id])
  const offered = Array.from(products, ([product, ids]) => ({ product, prices: ids })).slice(-PRODUCTS)
  return {
    invoice_history: { enabled: true },
    payment_method_update: { enabled: true },
    subscription_cancel: { enabled: true, mode: 'at_period_end' },
    ...(offered.length === 0
      ? {}
      : {
          subscription_update: {
            enabled: true,
            default_allowed_updates: ['price'],
            proration_behavior: 'create_prorations',
            products: offered,
          },
        }),
  }
}
