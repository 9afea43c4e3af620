import { z } from 'zod'
import { type Plan, planSchema, spendLimitSchema } from '../../db/model/plans.ts'
import type { PlanEdit } from '../../db/stores/plans.ts'
import { lineSchema } from './page.ts'
import { modelsInput, type Parts, readModels } from './settings.ts'

/** Plans as the API says them; db/model/plans.ts has them as they are stored. */

const limit = z
  .number()
  .int()
  .min(1)
  .max(Number.MAX_SAFE_INTEGER)
  .nullable()
  .describe('Of the whole organization; null: none')
const cents = z.number().int().min(0).max(100_000_000).nullable()

const members = {
  name: lineSchema.pipe(z.string().max(64)),
  requests_per_minute: limit,
  requests_per_day: limit,
  requests_per_month: limit,
  tokens_per_minute: limit,
  tokens_per_day: limit.describe('Input plus output, of the whole organization; null: no limit'),
  tokens_per_month: limit,
  spend_per_month: spendLimitSchema.nullable().describe('USD, a decimal string; null: no limit'),
  allowed_models: modelsInput,
  price_monthly_cents: cents.describe('US cents; 0: free, null: not sold by the month'),
  price_yearly_cents: cents.describe('US cents; 0: free, null: not sold by the year'),
  order: z
    .number()
    .int()
    .min(-1_000_000)
    .max(1_000_000)
    .nullable()
    .describe('Lists go by it, the smallest first; null: behind all others'),
}

const operators = {
  hidden: z.boolean().describe('It is offered to nobody: only who runs the installation puts organizations on it'),
  archived: z.boolean().describe('No organization is put on it any more; those on it stay'),
}

const id = planSchema.shape.id.describe('Organizations name their plan by it: it stays')

/** As everybody sees it. */
export const planOutput = z.object({ id, ...members, name: z.string() })
/** As who runs the installation sees it. */
export const ownPlanOutput = planOutput.extend({
  ...operators,
  changed: z.boolean().describe('It was made or changed here; else it is as the preset or the file has it'),
  organizations: z.number().int().describe('How many are on it'),
})

const { name, ...limits } = members
const edits = z.object({ ...limits, ...operators }).partial()
/** What is left out: none. */
export const newPlanInput = edits.extend({ id, name })
/** What is left out stays. */
export const planEditInput = edits.extend({ id, name: name.optional() })

const NAMES = [
  ['name', 'name'],
  ['requestsPerMinute', 'requests_per_minute'],
  ['requestsPerDay', 'requests_per_day'],
  ['requestsPerMonth', 'requests_per_month'],
  ['tokensPerMinute', 'tokens_per_minute'],
  ['tokensPerDay', 'tokens_per_day'],
  ['tokensPerMonth', 'tokens_per_month'],
  ['spendPerMonth', 'spend_per_month'],
  ['allowedModels', 'allowed_models'],
  ['priceMonthlyCents', 'price_monthly_cents'],
  ['priceYearlyCents', 'price_yearly_cents'],
  ['order', 'order'],
  ['hidden', 'hidden'],
  ['archived', 'archived'],
] as const satisfies readonly (readonly [keyof Plan, keyof z.output<typeof planEditInput>])[]

/** @throws GatewayError `invalid_request` that names an unknown model */
export function readPlanEdit(input: Omit<z.output<typeof planEditInput>, 'id'>, deps: Parts): PlanEdit {
  const given = NAMES.filter(([, said]) => input[said] !== undefined).map(([stored, said]) => [stored, input[said]])
  const edit = Object.fromEntries(given) as PlanEdit
  if (input.allowed_models === undefined) return edit
  return { ...edit, allowedModels: readModels(input.allowed_models, deps, 'allowed_models') }
}

export function shownPlan(plan: Plan): z.output<typeof planOutput> {
  return {
    id: plan.id,
    name: plan.name,
    requests_per_minute: plan.requestsPerMinute,
    requests_per_day: plan.requestsPerDay,
    requests_per_month: plan.requestsPerMonth,
    tokens_per_minute: plan.tokensPerMinute,
    tokens_per_day: plan.tokensPerDay,
    tokens_per_month: plan.tokensPerMonth,
    spend_per_month: plan.spendPerMonth,
    allowed_models: plan.allowedModels,
    price_monthly_cents: plan.priceMonthlyCents,
    price_yearly_cents: plan.priceYearlyCents,
    order: plan.order,
  }
}
