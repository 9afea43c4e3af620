import { z } from 'zod'
import { type Counted, counterOf, type Limit, type LimitPeriod, limitsOf } from '../../db/model/limits.ts'
import type { Whose } from '../../db/stores/usage-seeds.ts'
import { GatewayError } from '../errors.ts'
import { amountSchema, COUNTED, shownAmount } from './amounts.ts'
import { type LimitUse, resetOf, usesOf } from './limit-uses.ts'
import { isoOf, timeSchema } from './page.ts'
import type { Context, Within } from './trpc.ts'
import { countSchema } from './usage-shapes.ts'

type Ctx = Context & Within

const shareSchema = z.object({
  used: countSchema,
  limit: countSchema.nullable().describe('Null: no limit'),
  remaining: countSchema.nullable(),
  ok: z.boolean().describe('False: nothing is left until `reset_at`'),
  reset_at: timeSchema,
})

const limitSchema = z.object({
  of: z.enum(['key', 'project', 'organization']),
  by: z.string().describe('`plan`, `settings`, or the id of a budget'),
  what: z.enum(COUNTED),
  period: z.enum(['minute', 'day', 'week', 'month', 'total']),
  hard: z.boolean().describe('False: passing it is only told of'),
  used: amountSchema,
  limit: amountSchema,
  remaining: amountSchema,
  ok: z.boolean(),
  resets_at: timeSchema.nullable().describe('Null: never'),
})

export const quotaSchema = z.object({
  quota_ok: z.boolean().describe('Something is left of every hard limit of a day or longer'),
  plan: z.string(),
  daily: shareSchema.describe('Tokens of the day: of the tightest limit; without one, all of the organization’s'),
  monthly: shareSchema.describe('Requests of the month: of the tightest limit; without one, all of the organization’s'),
  limits: z.array(limitSchema).describe('All that hold, the narrowest first'),
})

/** Whose limits are asked for, beside the organization's. */
export interface QuotaAsk {
  readonly projectId: string | null
  readonly keyId: string | null
}

interface Held {
  readonly plan: string
  readonly limits: readonly Limit[]
  readonly whose: Whose
}

/** What is left of all limits that hold for a key, a project or the organization. @throws GatewayError `not_found` */
export async function quota(ctx: Ctx, ask: QuotaAsk): Promise<z.output<typeof quotaSchema>> {
  const { plan, limits, whose } = await heldFor(ctx, ask)
  const uncapped = [uncappedOf('tokens', 'day', whose), uncappedOf('requests', 'month', whose)]
  const uses = await usesOf(
    ctx,
    [...limits, ...uncapped].map((limit) => ({ limit, whose })),
  )
  const capped = uses.slice(0, limits.length)
  const share = (of: Limit) => shareOf(tightest(capped, of) ?? uses.find(({ limit }) => limit === of)!)
  return {
    quota_ok: capped.every((use) => isOk(use) || !use.limit.hard || use.limit.period === 'minute'),
    plan,
    daily: share(uncapped[0]!),
    monthly: share(uncapped[1]!),
    limits: capped.map(shownUse),
  }
}

async function heldFor(ctx: Ctx, { projectId, keyId }: QuotaAsk): Promise<Held> {
  const { caller, control, scope } = ctx
  const { organizationId } = scope
  if (caller.kind === 'key') {
    const { principal } = caller
    const isOther = (projectId ?? principal.projectId) !== principal.projectId
    if (isOther || (keyId ?? principal.keyId) !== principal.keyId) throw notFound('project or key')
    const limits = principal.limits ?? limitsOf(principal)
    return {
      plan: principal.plan.id,
      limits,
      whose: { ...scope, projectId: principal.projectId, keyId: principal.keyId },
    }
  }
  const { budgets, keys, projects, usage } = control.stores
  if (projectId === null && keyId !== null) {
    throw new GatewayError('invalid_request', '"project_id" must name the key’s project', { param: 'project_id' })
  }
  const plan = control.plans.of(await usage.planOf(scope))
  const project = projectId === null ? null : await projects.find(scope, projectId)
  if (projectId !== null && project === null) throw notFound('project')
  const key = projectId === null || keyId === null ? null : await keys.find(scope, { projectId, keyId })
  if (keyId !== null && key === null) throw notFound('key')
  const limits = limitsOf({
    keyId: keyId ?? '',
    projectId: projectId ?? '',
    organizationId,
    plan,
    ...(key?.settings.limits === undefined ? {} : { key: key.settings.limits }),
    ...(project?.settings.limits === undefined ? {} : { project: project.settings.limits }),
    budgets: projectId === null ? [] : await budgets.limitsOf(projectId, keyId ?? ''),
  })
  return { plan: plan.id, limits, whose: { ...scope, projectId, keyId } }
}

function notFound(what: string): GatewayError {
  return new GatewayError('not_found', `There is no such ${what} in this organization`)
}

/** Counts like the plan's limit, and holds nobody. */
function uncappedOf(what: Counted, period: LimitPeriod, { organizationId }: Whose): Limit {
  const counter = counterOf(what, period, organizationId)
  const limit = Number.MAX_SAFE_INTEGER
  return { of: 'organization', by: 'plan', what, period, anchorMs: null, limit, hard: false, counter }
}

/** The hard one of that kind that leaves least; of equals the smaller. */
function tightest(uses: readonly LimitUse[], { what, period }: Limit): LimitUse | null {
  const found = uses.filter(({ limit }) => limit.hard && limit.what === what && limit.period === period)
  const [first] = found.sort((a, b) => leftOf(a) - leftOf(b) || a.limit.limit - b.limit.limit)
  return first ?? null
}

function leftOf({ limit, used }: LimitUse): number {
  return Math.max(0, limit.limit - used)
}

function isOk({ limit, used }: LimitUse): boolean {
  return used < limit.limit
}

function shareOf(use: LimitUse): z.output<typeof shareSchema> {
  const isCapped = use.limit.hard
  return {
    used: use.used,
    limit: isCapped ? use.limit.limit : null,
    remaining: isCapped ? leftOf(use) : null,
    ok: !isCapped || isOk(use),
    reset_at: isoOf(use.endMs),
  }
}

function shownUse(use: LimitUse): z.output<typeof limitSchema> {
  const { of, by, what, period, hard, limit } = use.limit
  return {
    of,
    by,
    what,
    period,
    hard,
    used: shownAmount(what, use.used),
    limit: shownAmount(what, limit),
    remaining: shownAmount(what, leftOf(use)),
    ok: isOk(use),
    resets_at: isoOf(resetOf(use)),
  }
}
