import { z } from 'zod'
import { scopeOf } from '../../db/model/access.ts'
import { BUDGET_PERIODS, type Budget, limitOfBudget, MAX_BUDGETS } from '../../db/model/budgets.ts'
import { makeId } from '../../db/model/ids.ts'
import type { OwnedLimit } from '../../db/stores/usage-seeds.ts'
import { GatewayError } from '../errors.ts'
import { amountInput, amountSchema, COUNTED, readAmount, shownAmount } from './amounts.ts'
import { counterFor, type LimitUse, resetOf, usesOf } from './limit-uses.ts'
import { cut, idSchema, isoOf, pageInput, pageOf, timeSchema } from './page.ts'
import { type Context, router, scoped, type Within } from './trpc.ts'

const budgetSchema = z.object({
  id: z.string(),
  project_id: z.string(),
  key_id: z.string().nullable().describe('Null: of all the project’s keys together'),
  what: z.enum(COUNTED),
  period: z.enum(BUDGET_PERIODS),
  anchor: timeSchema.nullable(),
  amount: amountSchema,
  hard: z.boolean(),
  used: amountSchema.describe('In the present period; calls under way count with what is held for them'),
  remaining: amountSchema,
  percent: z.number().min(0).describe('Used, of the amount; above 100 where a soft budget was passed'),
  resets_at: timeSchema.nullable().describe('When the period ends; null: never'),
  created_by: z.string().nullable().describe('A user’s id'),
  created_at: timeSchema,
  updated_at: timeSchema,
})

const members = {
  period: z
    .enum(BUDGET_PERIODS)
    .describe('Days, weeks (from Monday) and months are those of the calendar in UTC unless there is an anchor'),
  anchor: z.iso
    .datetime({ offset: true })
    .nullable()
    .describe(
      'A time that is not to come: periods begin there and at multiples of theirs after it; `total` counts from it on. Null: the calendar; `total` counts from the first call on',
    ),
  amount: amountInput,
  hard: z.boolean().describe('True: calls beyond it are refused. False: it is only told of'),
}
const placeInput = { id: idSchema.describe('The project’s'), budget_id: idSchema }

/** How long it waits for calls that just ended here to be stored. */
const DRAIN_MS = 2_000

const tags = ['Budgets']

/** What projects and keys may use in a period. */
export const budgets = router({
  list: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/projects/{id}/budgets',
        tags,
        summary: 'List the budgets of a project and of its keys',
        description: 'In the order of their making, each with what is used of it.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema, key_id: idSchema.optional().describe('Only those of this key'), ...pageInput }))
    .output(pageOf(budgetSchema))
    .query(async ({ ctx, input: { id, key_id, limit, cursor = null } }) => {
      const page = { keyId: key_id ?? null, after: cursor, limit: limit + 1 }
      const rows = await ctx.control.stores.budgets.list(ctx.scope, id, page)
      if (rows === null) throw noProject()
      const { data, next } = cut(rows, limit, (row) => row.id)
      const uses = await usesOf(
        ctx,
        data.map((budget) => owned(ctx, budget)),
      )
      return { data: data.map((budget, at) => shown(budget, uses[at]!)), next_cursor: next }
    }),

  create: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/projects/{id}/budgets',
        tags,
        summary: 'Give a project or a key a budget',
        description: `What was called before in the same period counts. A project, and each key, has at most ${MAX_BUDGETS}.`,
        protect: true,
      },
    })
    .input(
      z.object({
        id: idSchema.describe('The project’s'),
        key_id: idSchema.nullable().default(null).describe('Of one key; null: of all the project’s keys together'),
        what: z
          .enum(COUNTED)
          .describe('`tokens`: input and output. `spend`: what is charged, else what the provider asks'),
        ...members,
        anchor: members.anchor.default(null),
        hard: members.hard.default(true),
      }),
    )
    .output(budgetSchema)
    .mutation(async ({ ctx, input: { id: projectId, key_id: keyId, what, period, anchor, amount, hard } }) => {
      const { change, control, deps } = ctx
      const limit = readAmount(what, amount)
      const anchorMs = readAnchor(anchor, change.atMs)
      const budgetId = makeId('bud', change.atMs, deps.random.bytes(16))
      const budget = { id: budgetId, projectId, keyId, what, period, anchorMs, limit, hard }
      const made = await control.stores.budgets.create(change, budget)
      if (made === null) throw keyId === null ? noProject() : noKey()
      if (made === 'full') {
        const whose = keyId === null ? 'project' : 'key'
        throw new GatewayError('invalid_request', `This ${whose} has ${MAX_BUDGETS} budgets already: delete one first`)
      }
      return withUse(ctx, made)
    }),

  update: scoped
    .meta({
      openapi: {
        method: 'PATCH',
        path: '/projects/{id}/budgets/{budget_id}',
        tags,
        summary: 'Change a budget',
        description:
          'What is left out stays as it is. Another period or anchor counts anew, from the calls. It holds everywhere within a second.',
        protect: true,
      },
    })
    .input(
      z.object({
        ...placeInput,
        period: members.period.optional(),
        anchor: members.anchor.optional(),
        amount: members.amount.optional(),
        hard: members.hard.optional(),
      }),
    )
    .output(budgetSchema)
    .mutation(async ({ ctx, input: { id: projectId, budget_id: budgetId, period, anchor, amount, hard } }) => {
      const { change, control, scope } = ctx
      const place = { projectId, budgetId }
      const old = await control.stores.budgets.find(scope, place)
      if (old === null) throw noBudget()
      const changed = await control.stores.budgets.update(change, place, {
        ...(period === undefined ? {} : { period }),
        ...(anchor === undefined ? {} : { anchorMs: readAnchor(anchor, change.atMs) }),
        ...(amount === undefined ? {} : { limit: readAmount(old.what, amount) }),
        ...(hard === undefined ? {} : { hard }),
      })
      if (changed === null) throw noBudget()
      return withUse(ctx, changed)
    }),

  delete: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/projects/{id}/budgets/{budget_id}',
        tags,
        summary: 'Delete a budget',
        protect: true,
      },
    })
    .input(z.object(placeInput))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input: { id: projectId, budget_id: budgetId } }) => {
      if (!(await ctx.control.stores.budgets.delete(ctx.change, { projectId, budgetId }))) throw noBudget()
      return { ok: true }
    }),

  recompute: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/projects/{id}/budgets/{budget_id}/recompute',
        tags,
        summary: 'Set what is used of a budget to what the calls of its period say',
        description: 'Calls that are still under way are in it when they have ended, within a minute.',
        protect: true,
      },
    })
    .input(z.object(placeInput))
    .output(budgetSchema.extend({ used_before: amountSchema.describe('What was counted until now') }))
    .mutation(async ({ ctx, input: { id: projectId, budget_id: budgetId } }) => {
      const { change, control, deps, scope } = ctx
      const place = { projectId, budgetId }
      const old = await control.stores.budgets.find(scope, place)
      if (old === null) throw noBudget()
      await deps.journal.drained(DRAIN_MS).catch(() => {})
      const [counted = 0] = await deps.kv.read([counterFor(limitOfBudget(old), change.atMs)], change.atMs)
      const renewed = await control.stores.budgets.renew(change, place)
      if (renewed === null) throw noBudget()
      const [use] = await usesOf(ctx, [owned(ctx, renewed)])
      const nowMs = deps.clock.now()
      // The line does the same when it hears of the change.
      await deps.kv.atLeast(counterFor(use!.limit, nowMs), use!.used, nowMs)
      return { ...shown(renewed, use!), used_before: shownAmount(old.what, counted) }
    }),
})

function owned({ scope }: Within, { projectId, keyId, ...rest }: Budget): OwnedLimit {
  return { limit: limitOfBudget({ keyId, ...rest }), whose: { ...scopeOf(scope.organizationId), projectId, keyId } }
}

async function withUse(ctx: Context & Within, budget: Budget): Promise<z.output<typeof budgetSchema>> {
  const [use] = await usesOf(ctx, [owned(ctx, budget)])
  return shown(budget, use!)
}

function shown(budget: Budget, use: LimitUse): z.output<typeof budgetSchema> {
  const { what, limit } = budget
  return {
    id: budget.id,
    project_id: budget.projectId,
    key_id: budget.keyId,
    what,
    period: budget.period,
    anchor: isoOf(budget.anchorMs),
    amount: shownAmount(what, limit),
    hard: budget.hard,
    used: shownAmount(what, use.used),
    remaining: shownAmount(what, Math.max(0, limit - use.used)),
    percent: percentOf(use.used, limit),
    resets_at: isoOf(resetOf(use)),
    created_by: budget.createdBy,
    created_at: isoOf(budget.createdAtMs),
    updated_at: isoOf(budget.updatedAtMs),
  }
}

/** With one digit, and never 100 before all is used. */
function percentOf(used: number, limit: number): number {
  return Math.floor((used / limit) * 1_000) / 10
}

/** @throws GatewayError `invalid_request` for a time to come */
function readAnchor(text: string | null, nowMs: number): number | null {
  if (text === null) return null
  const atMs = Date.parse(text)
  if (atMs >= 0 && atMs <= nowMs) return atMs
  throw new GatewayError('invalid_request', '"anchor" must not be a time to come, nor one before 1970', {
    param: 'anchor',
  })
}

function noProject(): GatewayError {
  return new GatewayError('not_found', 'There is no such project')
}

function noKey(): GatewayError {
  return new GatewayError('not_found', 'There is no such key in this project')
}

function noBudget(): GatewayError {
  return new GatewayError('not_found', 'There is no such budget in this project')
}
