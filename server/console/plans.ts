import { z } from 'zod'
import { pageOf } from './page.ts'
import { planOutput, shownPlan } from './plan-shapes.ts'
import { open, router } from './trpc.ts'

/** What is offered to everybody, with its price. */
export const plans = router({
  list: open
    .meta({
      openapi: {
        method: 'GET',
        path: '/plans',
        tags: ['Plans'],
        summary: 'List the plans on offer',
        description: 'In their order. Nobody needs to be signed in.',
      },
    })
    .input(z.object({}))
    .output(pageOf(planOutput))
    .query(({ ctx }) => {
      const offered = ctx.control.plans.all().filter(({ hidden, archived }) => !hidden && !archived)
      return { data: offered.map(shownPlan), next_cursor: null }
    }),
})
