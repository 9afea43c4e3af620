import { z } from 'zod'
import { BILLING_PERIODS, givenBy, PICO_PER_CENT, type RatedSubscription } from '../../db/model/billing.ts'
import { formatUsd } from '../../db/model/money.ts'
import type { Billing, Control, Invoice } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, pageInput, pageOf, timeSchema } from './page.ts'
import { router, scoped } from './trpc.ts'
import { monthOf } from './usage-periods.ts'

const tags = ['Billing']

const subscriptionSchema = z.object({
  plan: z.string().describe('Id of the plan that the organization is on'),
  status: z.string().describe('Of its subscription, in Stripe’s word; `none`: it has none'),
  current_period_end: timeSchema.nullable(),
  cancel_at_period_end: z.boolean(),
  usage: z.object({
    requests_this_month: z.number().int(),
    plan_limit: z.number().int().nullable().describe('Requests a month, null: no limit'),
    percentage_used: z.number().nullable().describe('With two decimals; null: no limit'),
  }),
})

const invoiceSchema = z.object({
  id: z.string(),
  number: z.string().nullable(),
  status: z.string().describe('In Stripe’s word: draft, open, paid, uncollectible, void'),
  currency: z.string(),
  total: z.string().describe('Decimal, in its currency'),
  paid: z.string(),
  created_at: timeSchema,
  period_start: timeSchema,
  period_end: timeSchema,
  page_url: z.string().nullable().describe('Stripe’s page of it'),
  pdf_url: z.string().nullable(),
})

/** What an organization pays, by Stripe. Without Stripe all of these answer `service_unavailable` and say so. */
export const billing = router({
  createCheckout: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/billing/create-checkout',
        tags,
        summary: 'Begin to pay for a plan',
        description:
          'Open `checkout_url` in the browser. With a subscription already there it leads to where that is changed. The plan changes when Stripe says that it is paid.',
        protect: true,
      },
    })
    .input(
      z.object({
        plan: z.string().min(1).max(64).describe('Id of the plan'),
        billing_period: z.enum(BILLING_PERIODS).default('monthly'),
      }),
    )
    .output(z.object({ checkout_url: z.url() }))
    .mutation(async ({ ctx, input: { plan, billing_period: period } }) => {
      return { checkout_url: await billingOf(ctx.control).checkout(ctx.change, { plan, period }) }
    }),

  createTopUp: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/billing/create-top-up',
        tags,
        summary: 'Begin to pay for credits',
        description: 'Open `checkout_url` in the browser. The credits are there when Stripe says that they are paid.',
        protect: true,
      },
    })
    .input(
      z.object({
        amount_usd: z
          .string()
          .regex(/^\d{1,7}(\.\d{1,2})?$/, 'Give dollars such as "25" or "12.50"')
          .describe('From 5 to 10000'),
      }),
    )
    .output(z.object({ checkout_url: z.url() }))
    .mutation(async ({ ctx, input: { amount_usd } }) => {
      return { checkout_url: await billingOf(ctx.control).topUp(ctx.change, centsOf(amount_usd)) }
    }),

  createPortal: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/billing/create-portal',
        tags,
        summary: 'Open Stripe’s portal',
        description: 'For payment methods, invoices, and changing or cancelling the subscription.',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(z.object({ portal_url: z.url() }))
    .mutation(async ({ ctx }) => ({ portal_url: await billingOf(ctx.control).portal(ctx.change) })),

  subscription: scoped
    .meta({
      openapi: { method: 'GET', path: '/billing/subscription', tags, summary: 'Read the subscription', protect: true },
    })
    .input(z.object({}))
    .output(subscriptionSchema)
    .query(async ({ ctx }) => {
      const { control, scope, deps } = ctx
      billingOf(control)
      const nowMs = deps.clock.now()
      const { stores, plans } = control
      const all = await stores.billing.subscriptions(scope)
      const shown = givenBy(all, plans.all(), nowMs)?.subscription ?? all.find(isTold) ?? null
      const plan = plans.of(await stores.usage.planOf(scope))
      const since = monthOf(nowMs)
      const { requests } = await stores.usage.used(scope, { requestsMs: since, tokensMs: since })
      const limit = plan.requestsPerMonth
      return {
        plan: plan.id,
        status: shown?.status ?? 'none',
        current_period_end: isoOf(shown?.periodEndMs ?? null),
        cancel_at_period_end: shown !== null && shown.endsAtMs !== null,
        usage: {
          requests_this_month: requests,
          plan_limit: limit,
          percentage_used: limit === null ? null : Math.round((requests / limit) * 10_000) / 100,
        },
      }
    }),

  invoices: scoped
    .meta({
      openapi: { method: 'GET', path: '/billing/invoices', tags, summary: 'List invoices', protect: true },
    })
    .input(z.object({ ...pageInput, cursor: idSchema.optional() }))
    .output(pageOf(invoiceSchema))
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const { data, hasMore } = await billingOf(ctx.control).invoices(ctx.scope, { limit, after: cursor })
      return { data: data.map(shownInvoice), next_cursor: hasMore ? (data.at(-1)?.id ?? null) : null }
    }),
})

/** @throws GatewayError `service_unavailable` when no Stripe is configured */
function billingOf({ billing }: Control): Billing {
  if (billing != null) return billing
  const message = 'Billing is not configured: who runs this gateway sets STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET'
  throw new GatewayError('service_unavailable', message, { details: { reason: 'billing_not_configured' } })
}

/** One that never came about is nothing to tell. */
function isTold({ status }: RatedSubscription): boolean {
  return status !== 'incomplete_expired'
}

function centsOf(usd: string): number {
  const [dollars = '0', cents = ''] = usd.split('.')
  return Number(dollars) * 100 + Number(cents.padEnd(2, '0'))
}

function shownInvoice(invoice: Invoice): z.output<typeof invoiceSchema> {
  const { id, number, status, currency, totalCents, paidCents, pageUrl, pdfUrl } = invoice
  return {
    ...{ id, number, status, currency, page_url: pageUrl, pdf_url: pdfUrl },
    total: formatUsd(BigInt(totalCents) * PICO_PER_CENT),
    paid: formatUsd(BigInt(paidCents) * PICO_PER_CENT),
    created_at: isoOf(invoice.createdAtMs),
    period_start: isoOf(invoice.periodStartMs),
    period_end: isoOf(invoice.periodEndMs),
  }
}
