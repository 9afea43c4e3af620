import { Missing } from './client.ts'
import { refreshInvoice, tellOfFailure } from './invoices.ts'
import { type BillingParts, idOf } from './parts.ts'
import { dropCustomer, refreshCustomer } from './subscriptions.ts'
import { refreshTopUp } from './top-ups.ts'

/** What of an event is read: everything else is asked of Stripe, as it is now. */
export interface Told {
  readonly type: string
  readonly object: Readonly<Record<string, unknown>>
}

/**
 * Does what an event calls for, by what Stripe says now rather than what the event said then: so events may come in any
 * order, late, or twice, and what is applied twice is as if it were once.
 * @returns what came of it, in words. @throws when Stripe or the database can't be asked: try again
 */
export async function applyEvent(parts: BillingParts, told: Told): Promise<string> {
  try {
    return (await apply(parts, told)) ?? 'not ours'
  } catch (thrown) {
    // Deleted since: nothing is left to be done about it.
    if (thrown instanceof Missing) return 'gone'
    throw thrown
  }
}

const INVOICE = /^invoice\.(paid|payment_succeeded|payment_failed|voided|marked_uncollectible)$/
const TAKEN_BACK = /^(charge\.(refunded|refund\.updated|dispute\.\w+)|refund\.\w+)$/

async function apply(parts: BillingParts, { type, object }: Told): Promise<string | null> {
  const id = named(object.id)
  const customer = named(object.customer)
  if (type.startsWith('checkout.session.') && id !== null) return applySession(parts, id)
  if (type.startsWith('customer.subscription.') && customer !== null)
    return plan(await refreshCustomer(parts, customer))
  if (type === 'customer.deleted' && id !== null) return plan(await dropCustomer(parts, id))
  if (type === 'payment_intent.succeeded' && id !== null) return refreshTopUp(parts, id)
  if (TAKEN_BACK.test(type)) {
    const paymentIntent = named(object.payment_intent)
    return paymentIntent === null ? null : refreshTopUp(parts, paymentIntent)
  }
  if (!INVOICE.test(type) || id === null) return 'unknown'
  const noted = await refreshInvoice(parts, id)
  if (noted === null) return null
  if (type === 'invoice.payment_failed') await tellOfFailure(parts, noted)
  return `${noted.failures} failed`
}

async function applySession(parts: BillingParts, id: string): Promise<string | null> {
  const { mode, customer, payment_intent } = await parts.stripe((stripe) => stripe.checkout.sessions.retrieve(id))
  const paymentIntent = idOf(payment_intent)
  if (mode === 'payment') return paymentIntent === null ? null : refreshTopUp(parts, paymentIntent)
  const customerId = idOf(customer)
  return mode === 'subscription' && customerId !== null ? plan(await refreshCustomer(parts, customerId)) : null
}

function plan(organizationId: string | null): string | null {
  return organizationId === null ? null : 'plan decided'
}

function named(value: unknown): string | null {
  return idOf(value as string | { readonly id: string } | null | undefined)
}
