import { z } from 'zod'
import { makeId } from '../../db/model/ids.ts'
import { formatUsd } from '../../db/model/money.ts'
import { isModelPattern } from '../../db/model/multipliers.ts'
import type { Rerate, RerateSums } from '../../db/stores/rerates.ts'
import { correctedPrice } from '../catalog/corrected.ts'
import { overrideSchema } from '../catalog/overrides.ts'
import { GatewayError } from '../errors.ts'
import { cut, isoOf, lineSchema, pageInput, pageOf, timeSchema } from './page.ts'
import { type Context, operating, router } from './trpc.ts'
import { dateOf } from './usage-periods.ts'
import { countSchema, momentSchema, readSpan, usdSchema } from './usage-shapes.ts'

const tags = ['Re-rating']

/** How long it waits for calls that just ended here to be in the books. */
const DRAIN_MS = 2_000

const rerateInput = z.object({
  provider: lineSchema,
  model: lineSchema
    .refine(isModelPattern, 'Give the name of a model, the beginning of names and *, or * alone')
    .describe('The model that answered, or the beginning of names followed by `*`'),
  from: momentSchema.describe('Inclusive'),
  to: momentSchema.describe('Exclusive, not later than now'),
  price: overrideSchema.describe('The price that should have held, in USD a million tokens, as in WATCHLLM_PRICES'),
})

const sumsSchema = z.object({
  calls: countSchema,
  changed: countSchema.describe('Those of them that would cost something else'),
  cost_before_usd: usdSchema,
  cost_after_usd: usdSchema,
  charged_before_usd: usdSchema.describe('Charged to credits, with what was posted of it since'),
  charged_after_usd: usdSchema,
})

function shownSums(sums: RerateSums): z.output<typeof sumsSchema> {
  return {
    calls: sums.calls,
    changed: sums.changed,
    cost_before_usd: formatUsd(sums.costBeforePico),
    cost_after_usd: formatUsd(sums.costAfterPico),
    charged_before_usd: formatUsd(sums.chargedBeforePico),
    charged_after_usd: formatUsd(sums.chargedAfterPico),
  }
}

/**
 * A price that was wrong: what calls would have cost at another one, and the difference posted to the ledger. The calls
 * themselves stay as they were settled.
 */
export const rerates = router({
  preview: operating
    .meta({
      openapi: {
        method: 'POST',
        path: '/platform/rerates/preview',
        tags,
        summary: 'Try a corrected price on calls of the past',
        description: 'Nothing is changed. Looks through all calls of the time: seconds for a million of them.',
        protect: true,
      },
    })
    .input(rerateInput)
    .output(
      z.object({
        price_version: z.string(),
        total: sumsSchema,
        days: z.array(sumsSchema.extend({ model: z.string(), date: z.iso.date() })).describe('By model and day, UTC'),
        organizations: z.array(sumsSchema.extend({ id: z.string() })),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const rerate = readRerate(ctx, input)
      await ctx.deps.journal.drained(DRAIN_MS).catch(() => {})
      const { days, organizations } = await ctx.control.stores.rerates.preview(rerate)
      return {
        price_version: rerate.price.id,
        total: shownSums(totalOf(organizations)),
        days: days.map((day) => ({ ...shownSums(day), model: day.model, date: dateOf(day.dayMs) })),
        organizations: organizations.map((one) => ({ ...shownSums(one), id: one.organizationId })),
      }
    }),

  post: operating
    .meta({
      openapi: {
        method: 'POST',
        path: '/platform/rerates',
        tags,
        summary: 'Post a corrected price to the ledger',
        description:
          'One correction for each organization whose charges change. Posting the same again does nothing, but for calls that have come into the books since.',
        protect: true,
      },
    })
    .input(
      rerateInput.extend({
        reason: lineSchema,
        force: z.boolean().default(false).describe('Even where less than nothing is left then'),
      }),
    )
    .output(
      z.object({
        id: z.string(),
        corrections: z.array(
          z.object({
            organization_id: z.string(),
            amount_usd: usdSchema.describe('Above zero: its credits got it back'),
            state: z.enum(['posted', 'overdrawn']).describe('`overdrawn`: it has less than that, and nothing was done'),
          }),
        ),
      }),
    )
    .mutation(async ({ ctx, input: { reason, force, ...input } }) => {
      const rerate = readRerate(ctx, input)
      await ctx.deps.journal.drained(DRAIN_MS).catch(() => {})
      const { clock, random } = ctx.deps
      const { id, corrections } = await ctx.control.stores.rerates.post(ctx.change, rerate, {
        id: makeId('rer', clock.now(), random.bytes(16)),
        reason,
        force,
        transactionId: () => makeId('txn', clock.now(), random.bytes(16)),
      })
      return {
        id,
        corrections: corrections.map(({ organizationId, amountPico, state }) => ({
          organization_id: organizationId,
          amount_usd: formatUsd(amountPico),
          state,
        })),
      }
    }),

  list: operating
    .meta({
      openapi: { method: 'GET', path: '/platform/rerates', tags, summary: 'List corrected prices', protect: true },
    })
    .input(z.object(pageInput))
    .output(
      pageOf(
        z.object({
          id: z.string(),
          created_at: timeSchema,
          provider: z.string(),
          model: z.string(),
          from: timeSchema,
          to: timeSchema,
          price_version: z.string(),
          reason: z.string(),
          corrections: countSchema.describe('Transactions that it has posted to the ledger'),
          amount_usd: usdSchema.describe('What they gave to credits'),
        }),
      ),
    )
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const rows = await ctx.control.stores.rerates.list({ limit: limit + 1, after: cursor })
      const { data, next } = cut(rows, limit, (row) => row.id)
      return {
        data: data.map((row) => ({
          id: row.id,
          created_at: isoOf(row.createdAtMs),
          provider: row.provider,
          model: row.model,
          from: isoOf(row.fromMs),
          to: isoOf(row.toMs),
          price_version: row.priceId,
          reason: row.reason,
          corrections: row.corrections,
          amount_usd: formatUsd(row.amountPico),
        })),
        next_cursor: next,
      }
    }),
})

/** @throws GatewayError `invalid_request`: calls that are still to come go by the list of prices */
function readRerate({ deps }: Context, { provider, model, from, to, price }: z.output<typeof rerateInput>): Rerate {
  const span = readSpan(from, to)
  const fromMs = span.fromMs!
  const toMs = span.toMs!
  if (toMs > deps.clock.now()) {
    throw new GatewayError('invalid_request', '"to" must not be later than now', { param: 'to' })
  }
  return { provider, model, fromMs, toMs, price: correctedPrice(provider, model, price) }
}

function totalOf(all: readonly RerateSums[]): RerateSums {
  const sum = (of: (one: RerateSums) => bigint): bigint => all.reduce((total, one) => total + of(one), 0n)
  return {
    calls: all.reduce((total, one) => total + one.calls, 0),
    changed: all.reduce((total, one) => total + one.changed, 0),
    costBeforePico: sum((one) => one.costBeforePico),
    costAfterPico: sum((one) => one.costAfterPico),
    chargedBeforePico: sum((one) => one.chargedBeforePico),
    chargedAfterPico: sum((one) => one.chargedAfterPico),
  }
}
