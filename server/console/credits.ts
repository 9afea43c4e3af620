import { z } from 'zod'
import { scopeOf } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import { formatUsd } from '../../db/model/money.ts'
import { PAYS } from '../../db/model/plans.ts'
import { writeCursor } from '../../db/model/usage-query.ts'
import type { HandPosting, Posted } from '../../db/stores/ledger.ts'
import { GatewayError } from '../errors.ts'
import {
  amountInput,
  balanceSchema,
  ledgerFilters,
  ledgerItemSchema,
  picoOf,
  readLedgerFilters,
  shownBalance,
  shownItem,
  signedAmountInput,
} from './ledger-shapes.ts'
import { idSchema, lineSchema, pageInput, pageOf } from './page.ts'
import { type Context, operating, router, scoped } from './trpc.ts'
import { countSchema, cursorSchema, readPosition, usdSchema } from './usage-shapes.ts'

const tags = ['Credits']

/** How long it waits for calls that just ended here to be in the books. */
const DRAIN_MS = 500

const referenceInput = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,128}$/)
  .optional()
  .describe('Yours, such as the number of an invoice: the same is posted once for an organization')

const postedSchema = balanceSchema.extend({
  posted: z.boolean().describe('False: this reference was posted before, and nothing was done'),
})

/** What an organization has paid in and what its calls were charged. */
export const credits = router({
  balance: scoped
    .meta({ openapi: { method: 'GET', path: '/credits', tags, summary: 'Read the balance', protect: true } })
    .input(z.object({}))
    .output(
      balanceSchema.extend({
        pays: z.enum(PAYS).describe('`none`: calls are not charged, whatever the balance'),
      }),
    )
    .query(async ({ ctx }) => {
      await settled(ctx)
      const { ledger } = ctx.control.stores
      const pays = await ledger.pays(ctx.scope)
      return { ...shownBalance(await ledger.balance(ctx.scope)), pays }
    }),

  ledger: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/credits/ledger',
        tags,
        summary: 'List what changed the balance',
        description: 'Newest first. Calls that ended together are one transaction.',
        protect: true,
      },
    })
    .input(z.object({ ...ledgerFilters, limit: pageInput.limit, cursor: cursorSchema.optional() }))
    .output(pageOf(ledgerItemSchema))
    .query(async ({ ctx, input: { limit, cursor, ...filters } }) => {
      const page = { limit: limit + 1, after: readPosition(cursor) }
      const items = await ctx.control.stores.ledger.list(ctx.scope, readLedgerFilters(filters), page)
      const data = items.slice(0, limit)
      const last = data.at(-1)
      return {
        data: data.map(shownItem),
        next_cursor: items.length > limit && last !== undefined ? writeCursor(last) : null,
      }
    }),

  grant: operating
    .meta({
      openapi: {
        method: 'POST',
        path: '/platform/organizations/{id}/credits/grants',
        tags,
        summary: 'Give an organization credits',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema, amount_usd: amountInput, note: lineSchema, reference: referenceInput }))
    .output(postedSchema)
    .mutation(async ({ ctx, input: { id, amount_usd, note, reference } }) => {
      const posting = handPosting(ctx, { id, amount_usd, note, reference })
      return shownPosted(ctx, id, await ctx.control.stores.ledger.grant(ctx.change, posting))
    }),

  correct: operating
    .meta({
      openapi: {
        method: 'POST',
        path: '/platform/organizations/{id}/credits/corrections',
        tags,
        summary: 'Correct the credits of an organization',
        protect: true,
      },
    })
    .input(
      z.object({
        id: idSchema,
        amount_usd: signedAmountInput.describe('Above zero gives, below zero takes'),
        reason: lineSchema,
        reference: referenceInput,
        force: z.boolean().default(false).describe('Even if less than nothing is left then'),
      }),
    )
    .output(postedSchema)
    .mutation(async ({ ctx, input: { id, amount_usd, reason, reference, force } }) => {
      await settled(ctx)
      const posting = handPosting(ctx, { id, amount_usd, note: reason, reference })
      return shownPosted(ctx, id, await ctx.control.stores.ledger.correct(ctx.change, posting, { force }))
    }),

  verify: operating
    .meta({
      openapi: {
        method: 'GET',
        path: '/platform/books',
        tags,
        summary: 'Verify the books',
        description: 'Looks through all calls and all entries of the ledger: seconds for millions of them.',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(
      z.object({
        ok: z.boolean(),
        transactions: countSchema,
        balance_usd: usdSchema.describe('What all organizations together have left'),
        differences: z.array(
          z.object({
            check: z
              .enum(['entries', 'calls', 'hours', 'days', 'balance', 'overdrawn'])
              .describe(
                '`entries` sum to zero; `calls` were charged what the ledger has as usage, as have the `hours` of statistics; the kept `balance` is what its entries add up to, and nobody is `overdrawn`',
              ),
            of: z.string().describe('Id of an organization or a transaction, empty: of all'),
            expected_usd: usdSchema,
            found_usd: usdSchema,
          }),
        ),
      }),
    )
    .query(async ({ ctx }) => {
      await settled(ctx)
      const { ok, transactions, balancePico, differences } = await ctx.control.stores.ledger.verify()
      return {
        ok,
        transactions,
        balance_usd: formatUsd(balancePico),
        differences: differences.map(({ check, of, expectedPico, foundPico }) => ({
          check,
          of,
          expected_usd: formatUsd(expectedPico),
          found_usd: formatUsd(foundPico),
        })),
      }
    }),

  recount: operating
    .meta({
      openapi: {
        method: 'POST',
        path: '/platform/books/recount',
        tags,
        summary: 'Make the balances again from the entries of the ledger',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(z.object({ mended: z.array(z.string()).describe('Ids of the organizations whose balance was wrong') }))
    .mutation(async ({ ctx }) => ({ mended: [...(await ctx.control.stores.ledger.recount(ctx.change))] })),
})

/** The books have what has just ended here; while the database is away, its absence is told by who asks it. */
async function settled({ deps }: Context): Promise<void> {
  await deps.journal.drained(DRAIN_MS).catch(() => {})
}

interface Given {
  readonly id: string
  readonly amount_usd: string
  readonly note: string
  readonly reference?: string | undefined
}

function handPosting({ deps }: Context, { id, amount_usd, note, reference = undefined }: Given): HandPosting {
  return {
    id: makeId('txn', deps.clock.now(), deps.random.bytes(16)),
    organizationId: id,
    amountPico: picoOf(amount_usd),
    reference: reference ?? null,
    note,
  }
}

async function shownPosted(
  { control }: Context,
  organizationId: string,
  posted: Posted | null,
): Promise<z.output<typeof postedSchema>> {
  if (posted === null) throw new GatewayError('not_found', 'There is no such organization')
  const balance = await control.stores.ledger.balance(scopeOf(organizationId))
  if (posted === 'overdrawn') {
    const message = `Only ${formatUsd(balance.balancePico)} USD are left; take less, or give "force"`
    throw new GatewayError('invalid_request', message, { param: 'amount_usd' })
  }
  return { ...shownBalance(balance), posted: posted === 'posted' }
}
