import { z } from 'zod'
import { type Plan, planSchema } from '../../db/model/plans.ts'
import { GatewayError } from '../errors.ts'
import { pageOf } from './page.ts'
import { newPlanInput, ownPlanOutput, planEditInput, readPlanEdit, shownPlan } from './plan-shapes.ts'
import { type Context, operating } from './trpc.ts'

const tags = ['Platform']

/** What who runs the installation makes of plans: a part of the router `platform`. */
export const platformPlanProcedures = {
  plans: operating
    .meta({
      openapi: {
        method: 'GET',
        path: '/platform/plans',
        tags,
        summary: 'List all plans',
        description: 'Those of the preset and of WATCHLLM_PLANS, as they were changed here since, and those made here.',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(pageOf(ownPlanOutput))
    .query(async ({ ctx }) => {
      await ctx.control.plans.reload()
      const show = await shower(ctx)
      return { data: ctx.control.plans.all().map(show), next_cursor: null }
    }),

  createPlan: operating
    .meta({
      openapi: { method: 'POST', path: '/platform/plans', tags, summary: 'Make a plan', protect: true },
    })
    .input(newPlanInput)
    .output(ownPlanOutput)
    .mutation(async ({ ctx, input: { id, ...rest } }) => {
      const { plans, stores } = ctx.control
      const unlimited = { requestsPerMinute: null, requestsPerMonth: null, tokensPerDay: null }
      const plan = planSchema.parse({ id, ...unlimited, ...readPlanEdit(rest, ctx.deps) })
      const known = plans.all().some((one) => one.id === id)
      if (known || !(await stores.plans.create(ctx.change, plan))) {
        throw new GatewayError('invalid_request', 'There is a plan with this id: change it', { param: 'id' })
      }
      return changed(ctx, plan)
    }),

  updatePlan: operating
    .meta({
      openapi: {
        method: 'PATCH',
        path: '/platform/plans/{id}',
        tags,
        summary: 'Change a plan, or revive an archived one',
        description:
          'What is left out stays. Every organization on it is held to what it says now, on every instance within a second. From then on this holds, whatever the preset or the file says of the plan.',
        protect: true,
      },
    })
    .input(planEditInput)
    .output(ownPlanOutput)
    .mutation(({ ctx, input: { id, ...rest } }) => update(ctx, id, readPlanEdit(rest, ctx.deps))),

  archivePlan: operating
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/platform/plans/{id}',
        tags,
        summary: 'Archive a plan',
        description: 'It is offered no more, and no organization is put on it. Those on it stay.',
        protect: true,
      },
    })
    .input(z.object({ id: planSchema.shape.id }))
    .output(ownPlanOutput)
    .mutation(({ ctx, input: { id } }) => update(ctx, id, { archived: true })),
}

type Ctx = Pick<Context, 'control'> & {
  readonly change: Parameters<Context['control']['stores']['plans']['update']>[0]
}

async function update(ctx: Ctx, id: string, edit: Partial<Omit<Plan, 'id'>>) {
  const { plans, stores } = ctx.control
  const known = plans.all()
  if (edit.archived === true && !known.some((plan) => plan.id !== id && !plan.archived)) {
    throw new GatewayError('invalid_request', 'One plan must be left for new organizations: make another one first')
  }
  const base = known.find((plan) => plan.id === id) ?? null
  const plan = await stores.plans.update(ctx.change, id, { base, edit })
  if (plan === null) throw new GatewayError('not_found', 'There is no such plan')
  return changed(ctx, plan)
}

/** This process goes by it at once; the others hear of it. */
async function changed(ctx: Ctx, plan: Plan) {
  await ctx.control.plans.reload()
  return (await shower(ctx))(plan)
}

/** How plans are shown: which are as in preset and file, and how many organizations are on each. */
async function shower({ control: { stores } }: Pick<Context, 'control'>) {
  const stored = await stores.plans.list()
  const own = new Set([...stored.plans.map(({ id }) => id), ...stored.unreadable])
  const organizations = await stores.plans.organizations()
  return (plan: Plan): z.output<typeof ownPlanOutput> => ({
    ...shownPlan(plan),
    hidden: plan.hidden,
    archived: plan.archived,
    changed: own.has(plan.id),
    organizations: organizations.get(plan.id) ?? 0,
  })
}
