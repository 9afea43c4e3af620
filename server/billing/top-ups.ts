import type Stripe from 'stripe'
import { creditsCounterOf } from '../../db/model/limits.ts'
import { formatUsd } from '../../db/model/money.ts'
import { type BillingParts, changeOf, idOf, newId } from './parts.ts'

/** What of a payment names it as one for credits. */
export const TOP_UP = 'top_up'

/** A dispute in these has taken nothing, or given it back. */
const HARMLESS = new Set(['won', 'prevented', 'warning_needs_response', 'warning_under_review', 'warning_closed'])

const ALL = Number.MAX_SAFE_INTEGER

/**
 * Asks Stripe what was paid by a payment for credits and what of it was taken back since, and brings the ledger to that.
 * @returns what it did, in words
 */
export async function refreshTopUp(parts: BillingParts, paymentIntent: string): Promise<string> {
  const { stores, log, clock } = parts
  // Whose it is, before it is known that it is for credits at all.
  const first = await parts.stripe((stripe) => stripe.paymentIntents.retrieve(paymentIntent))
  const organizationId = await ownerOf(parts, first)
  if (organizationId === null) return 'not ours'
  const ticket = await stores.topUps.begin({ paymentIntent, organizationId, nowMs: clock.now() })
  const paid = await parts.stripe((stripe) => askFor(stripe, paymentIntent))
  const spentNano = await spentOf(parts, organizationId)
  const { creditedPico, lostPico } = await stores.topUps.put(ticket, { paymentIntent, ...paid, spentNano }, () => ({
    id: newId(parts, 'txn'),
    change: changeOf(parts, 'billing.topUp', newId(parts, 'aud')),
  }))
  if (lostPico > 0n) {
    const lostUsd = formatUsd(lostPico)
    log.error('Credits were paid back that had been spent already', { organizationId, paymentIntent, lostUsd })
    parts.alerts?.raise({ kind: 'credits_low', organizationId, balancePico: 0 })
  }
  return `credits ${formatUsd(creditedPico)}`
}

/** Both must say so: the mark that we put on it, and the customer, which only we know to be an organization's. */
async function ownerOf({ stores }: BillingParts, intent: Stripe.PaymentIntent): Promise<string | null> {
  // A customer may be gone when a payment is taken back.
  const noted = await stores.topUps.ownerOf(intent.id)
  if (noted !== null) return noted
  const customer = idOf(intent.customer)
  const { watchllm_kind: kind, watchllm_organization: organizationId } = intent.metadata
  if (kind !== TOP_UP || organizationId === undefined || customer === null) return null
  return (await stores.billing.ownerOf(customer)) === organizationId ? organizationId : null
}

async function askFor(stripe: Stripe, id: string): Promise<{ paidCents: number; takenCents: number }> {
  const intent = await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] })
  const charge = typeof intent.latest_charge === 'string' ? null : intent.latest_charge
  const paidCents = intent.status === 'succeeded' && intent.currency === 'usd' ? intent.amount_received : 0
  let takenCents = charge?.amount_refunded ?? 0
  if (charge?.disputed) {
    const { data } = await stripe.disputes.list({ payment_intent: id, limit: 100 })
    for (const { status, amount } of data) if (!HARMLESS.has(status)) takenCents += amount
  }
  return { paidCents, takenCents }
}

/** Calls under way count as well: what they hold can't be given back. */
async function spentOf({ kv, clock, log }: BillingParts, organizationId: string): Promise<number> {
  try {
    const counter = { key: creditsCounterOf(organizationId), limit: ALL, endMs: ALL }
    const [used = 0] = await kv.read([counter], clock.now())
    return Math.max(0, used)
  } catch (cause) {
    log.warn('What is spent of credits could not be read; the ledger decides', { organizationId, cause })
    return 0
  }
}
