import { z } from 'zod'
import { MAX_MULTIPLIER } from '../../db/model/charge.ts'
import { isModelPattern } from '../../db/model/multipliers.ts'
import { GatewayError } from '../errors.ts'
import { idSchema } from './page.ts'
import { operating, router } from './trpc.ts'

const tags = ['Multipliers']

const multiplierInput = z
  .number()
  .int()
  .min(0)
  .max(MAX_MULTIPLIER)
  .describe('In ten-thousandths: 10000 is the list price, 12000 is 20 % more')
const multiplierSchema = z.number().int().describe('In ten-thousandths: 10000 is the list price')

const name = z.string().regex(/^[\x21-\x7e]{1,200}$/)
const ruleInput = {
  provider: name.regex(/^(\*|[^*]+)$/, 'Give the id of a provider, or *').describe('A provider’s id, or `*` for all'),
  model: name
    .refine(isModelPattern, 'Give the name of a model, the beginning of names and *, or * alone')
    .describe('The model’s name at the provider, the beginning of names followed by `*`, or `*`'),
}
const ruleSchema = z.object({ provider: z.string(), model: z.string(), multiplier: multiplierSchema })

/** What calls cost of credits against the list price: organization’s x model’s multiplier. */
export const multipliers = router({
  list: operating
    .meta({
      openapi: { method: 'GET', path: '/platform/multipliers', tags, summary: 'List multipliers', protect: true },
    })
    .input(z.object({}))
    .output(
      z.object({
        models: z
          .array(ruleSchema)
          .describe(
            'A rule for the provider goes before one for all, a whole name before a beginning, a longer before a shorter',
          ),
        organizations: z
          .array(z.object({ id: z.string(), name: z.string(), multiplier: multiplierSchema }))
          .describe('Those that don’t pay the list price'),
      }),
    )
    .query(async ({ ctx }) => {
      const store = ctx.control.stores.multipliers
      const models = await store.models()
      const organizations = await store.organizations()
      return {
        models: [...models],
        organizations: organizations.map(({ organizationId: id, ...rest }) => ({ id, ...rest })),
      }
    }),

  set: operating
    .meta({
      openapi: {
        method: 'PUT',
        path: '/platform/multipliers',
        tags,
        summary: 'Set the multiplier of a model',
        description: 'It holds on every instance within a second, for calls that end from then on.',
        protect: true,
      },
    })
    .input(z.object({ ...ruleInput, multiplier: multiplierInput }))
    .output(ruleSchema)
    .mutation(async ({ ctx, input }) => {
      await ctx.control.stores.multipliers.set(ctx.change, input)
      return input
    }),

  remove: operating
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/platform/multipliers',
        tags,
        summary: 'Remove the multiplier of a model',
        protect: true,
      },
    })
    .input(z.object(ruleInput))
    .output(z.object({ removed: z.literal(true) }))
    .mutation(async ({ ctx, input }) => {
      const isRemoved = await ctx.control.stores.multipliers.remove(ctx.change, input)
      if (!isRemoved) throw new GatewayError('not_found', 'There is no such multiplier')
      return { removed: true as const }
    }),

  setOrganization: operating
    .meta({
      openapi: {
        method: 'PUT',
        path: '/platform/organizations/{id}/multiplier',
        tags,
        summary: 'Set the multiplier of an organization',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema, multiplier: multiplierInput }))
    .output(z.object({ id: z.string(), multiplier: multiplierSchema }))
    .mutation(async ({ ctx, input: { id, multiplier } }) => {
      const isThere = await ctx.control.stores.multipliers.setOrganization(ctx.change, id, multiplier)
      if (!isThere) throw new GatewayError('not_found', 'There is no such organization')
      return { id, multiplier }
    }),
})
