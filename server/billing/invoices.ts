import type Stripe from 'stripe'
import { type Scope, scopeOf } from '../../db/model/access.ts'
import { MAX_FAILURES, PICO_PER_CENT } from '../../db/model/billing.ts'
import { formatUsd } from '../../db/model/money.ts'
import type { InvoicePage, Invoice as ShownInvoice } from '../deps.ts'
import { ownersOf } from './customers.ts'
import { type BillingParts, idOf, pageOf } from './parts.ts'
import { refreshCustomer } from './subscriptions.ts'

/** An invoice was paid, or wasn't: notes how often payment has failed, which decides the plan as well. */
export async function refreshInvoice(parts: BillingParts, id: string): Promise<Noted | null> {
  const invoice = await parts.stripe((stripe) => stripe.invoices.retrieve(id))
  const customer = idOf(invoice.customer)
  const organizationId = customer === null ? null : await parts.stores.billing.ownerOf(customer)
  if (customer === null || organizationId === null) return null
  const subscriptionId = idOf(invoice.parent?.subscription_details?.subscription)
  const status = invoice.status ?? 'draft'
  await parts.stores.billing.putInvoice(organizationId, { id, subscriptionId, status, attempts: invoice.attempt_count })
  await refreshCustomer(parts, customer)
  const all = await parts.stores.billing.subscriptions(scopeOf(organizationId))
  const failures = all.find((one) => one.id === subscriptionId)?.failures ?? 1
  return { invoice, organizationId, failures }
}

interface Noted {
  readonly invoice: Stripe.Invoice
  readonly organizationId: string
  /** Payments of its subscription that failed since the last that went well. */
  readonly failures: number
}

/** Tells the owners and whoever has a rule for it. What has been paid meanwhile is told to nobody. */
export async function tellOfFailure(parts: BillingParts, { invoice, organizationId, failures }: Noted): Promise<void> {
  if (invoice.status !== 'open') return
  parts.alerts?.raise({ kind: 'payment_failed', organizationId, failures })
  const { mail, log } = parts
  if (mail === null) return
  const organization = await parts.stores.organizations.find(scopeOf(organizationId))
  const owners = organization === null ? [] : await ownersOf(parts, organizationId)
  const text = letterOf(parts, { name: organization?.name ?? '', invoice, failures })
  const sent = await Promise.allSettled(
    owners.map((to) => mail.send({ to, subject: 'A payment for WatchLLM failed', text })),
  )
  const refused = sent.filter((one) => one.status === 'rejected')
  // Who got it isn't told again because another could not be.
  if (refused.length > 0 && refused.length === sent.length) throw refused[0]!.reason
  if (refused.length > 0) log.warn('Not every owner could be told that a payment failed', { organizationId })
}

function letterOf(
  parts: BillingParts,
  { name, invoice, failures }: { readonly name: string; readonly invoice: Stripe.Invoice; readonly failures: number },
): string {
  const amount =
    invoice.currency === 'usd'
      ? `${formatUsd(BigInt(invoice.amount_due) * PICO_PER_CENT)} USD`
      : `${invoice.amount_due / 100} ${invoice.currency.toUpperCase()}`
  const then =
    failures >= MAX_FAILURES
      ? `It was number ${failures} in a row: the organization is on the free plan until it is paid.`
      : `It is tried again. After ${MAX_FAILURES} that fail, the organization goes to the free plan until it is paid.`
  const page = invoice.hosted_invoice_url ?? pageOf(parts)
  const paragraphs = ['Hello,', `A payment of ${amount} for the organization ${name} at WatchLLM failed. ${then}`]
  return `${[...paragraphs, 'See to it here:', page].join('\n\n')}\n`
}

/** Of an organization's customer, newest first. */
export async function invoicesOf(
  parts: BillingParts,
  scope: Scope,
  { limit, after }: { readonly limit: number; readonly after: string | null },
): Promise<InvoicePage> {
  const account = await parts.stores.billing.account(scope)
  const customer = account?.customerId ?? null
  if (customer === null) return { data: [], hasMore: false }
  const { data, has_more } = await parts.stripe((stripe) =>
    stripe.invoices.list({ customer, limit, ...(after === null ? {} : { starting_after: after }) }),
  )
  return { data: data.map(shown), hasMore: has_more }
}

function shown(invoice: Stripe.Invoice): ShownInvoice {
  const { id, number, currency, hosted_invoice_url, invoice_pdf } = invoice
  return {
    ...{ id, number, currency, status: invoice.status ?? 'draft' },
    totalCents: invoice.total,
    paidCents: invoice.amount_paid,
    createdAtMs: invoice.created * 1000,
    periodStartMs: invoice.period_start * 1000,
    periodEndMs: invoice.period_end * 1000,
    pageUrl: hosted_invoice_url ?? null,
    pdfUrl: invoice_pdf ?? null,
  }
}
