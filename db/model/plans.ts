import { z } from 'zod'
import preset from '../presets/plans.json' with { type: 'json' }
import { parseUsd } from './usage-query.ts'

const limit = z.int().positive().nullable()
/** 0: free. Null: it isn't sold here. */
const cents = z.int().min(0).max(100_000_000).nullable()
const PICO_PER_NANO = 1_000n

/** USD as a decimal string, to the nano-dollar: what a counter can hold. */
export const spendLimitSchema = z
  .string()
  .regex(/^\d{1,6}(\.\d{1,9})?$/, 'Give dollars such as "250" or "0.5", up to 999999, with nine decimals at most')
  .refine((usd) => /[1-9]/.test(usd), 'A limit is more than 0')

/** Names of models as lists show them, `provider/*` or `provider/model`. */
export const planModelsSchema = z.array(z.string().min(1).max(200)).min(1).max(500)

/**
 * A plan as the operator's file has it. Limits are the whole organization's; null: none. Tokens are input plus output;
 * days and months are UTC's. What came later has a default, so that older files stay valid.
 */
export const planSchema = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, 'An id is a small letter and up to 31 of a-z, 0-9, _ and -'),
  name: z.string().min(1).max(64),
  requestsPerMinute: limit,
  requestsPerDay: limit.default(null),
  requestsPerMonth: limit,
  tokensPerMinute: limit.default(null),
  tokensPerDay: limit,
  tokensPerMonth: limit.default(null),
  /** USD as a decimal string. */
  spendPerMonth: spendLimitSchema.nullable().default(null),
  /** Null: all. */
  allowedModels: planModelsSchema.nullable().default(null),
  /** US cents. */
  priceMonthlyCents: cents.default(null),
  priceYearlyCents: cents.default(null),
  /** Lists go by it, the smallest first; null: behind all that have one. */
  order: z.int().nullable().default(null),
  /** Only the operator puts organizations on it: it is offered to nobody. */
  hidden: z.boolean().default(false),
  /** Nobody is put on it any more; who is on it stays so. */
  archived: z.boolean().default(false),
})

/** How an organization pays for calls over the platform's accounts. `none`: nothing is charged. `credits`: in advance. */
export const PAYS = ['none', 'credits'] as const
export type Pays = (typeof PAYS)[number]

export type Plan = Readonly<z.infer<typeof planSchema>>

/** A file of plans: a list, which is added to the shipped ones, or one that takes their place with `replace`. */
export const planFileSchema = z.preprocess(
  (file) => (Array.isArray(file) ? { plans: file } : file),
  z
    .strictObject({ replace: z.boolean().default(false), plans: z.array(planSchema) })
    .refine(({ replace, plans }) => !replace || plans.length > 0, 'There must be one plan at least'),
)

/** The shipped preset (CONTRACT 8); presets/plans-by-tokens.json is the other one. */
export const PLANS: readonly Plan[] = preset.plans.map((plan) => planSchema.parse(plan))

/** A plan as it was kept; members of later versions are left out. @returns null for what is no plan to this version */
export function readPlan(content: unknown): Plan | null {
  return z.object(planSchema.shape).safeParse(content).data ?? null
}

/** Those of `more` in the place of those of the same id, and behind the others; by their order. */
export function mergePlans(base: readonly Plan[], more: readonly Plan[]): readonly Plan[] {
  const own = new Map(more.map((plan) => [plan.id, plan]))
  const merged = [...base.filter(({ id }) => !own.has(id)), ...own.values()]
  return merged.sort((one, other) => rank(one) - rank(other))
}

function rank({ order }: Plan): number {
  return order ?? Number.MAX_SAFE_INTEGER
}

/** The plan that holds an organization whose own is gone: of those on offer the one with the tightest limits. */
export function smallestOf(plans: readonly Plan[]): Plan {
  const offered = plans.filter(({ hidden, archived }) => !hidden && !archived)
  const [first, ...others] = offered.length > 0 ? offered : plans
  if (first === undefined) throw new Error('There is no plan at all')
  return others.reduce((least, plan) => (isSmaller(plan, least) ? plan : least), first)
}

/** The plan on which new organizations begin: the one called free, else the smallest. */
export function firstOf(plans: readonly Plan[]): Plan {
  return plans.find(({ id, archived }) => id === 'free' && !archived) ?? smallestOf(plans)
}

const SIZES = [
  'requestsPerMinute',
  'requestsPerDay',
  'requestsPerMonth',
  'tokensPerMinute',
  'tokensPerDay',
  'tokensPerMonth',
] as const

/** By the first limit in which they differ. */
function isSmaller(one: Plan, other: Plan): boolean {
  const differs = SIZES.find((name) => one[name] !== other[name])
  if (differs !== undefined) return (one[differs] ?? Infinity) < (other[differs] ?? Infinity)
  return (spendNanoOf(one) ?? Infinity) < (spendNanoOf(other) ?? Infinity)
}

/** What an organization may spend a month, in nano-dollars; null: no limit. */
export function spendNanoOf({ spendPerMonth }: Pick<Plan, 'spendPerMonth'>): number | null {
  return spendPerMonth === null ? null : Number(parseUsd(spendPerMonth) / PICO_PER_NANO)
}
