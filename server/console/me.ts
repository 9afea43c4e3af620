import { z } from 'zod'
import { ROLES } from '../../db/model/access.ts'
import { GatewayError } from '../errors.ts'
import { personal, router } from './trpc.ts'

const meSchema = z.object({
  id: z.string(),
  name: z.string(),
  email: z.string(),
  email_verified: z.boolean(),
  operator: z.boolean().describe('Runs this installation'),
  two_factor_enabled: z.boolean(),
  organizations: z
    .array(z.object({ id: z.string(), name: z.string(), role: z.enum(ROLES) }))
    .describe('Memberships, the oldest first; with a personal access token only the one that it is for'),
})

/** Who is signed in. */
export const me = router({
  get: personal
    .meta({ openapi: { method: 'GET', path: '/me', tags: ['me'], summary: 'Who is signed in', protect: true } })
    .input(z.object({}))
    .output(meSchema)
    .query(async ({ ctx }) => {
      const { caller } = ctx
      const found = await ctx.control.stores.people.profile(ctx.person.id)
      if (found === null) throw new GatewayError('invalid_api_key', 'This account is gone')
      const only = caller.kind === 'token' ? caller.organizationId : null
      return {
        id: found.id,
        name: found.name,
        email: found.email,
        email_verified: found.emailVerified,
        operator: found.operator,
        two_factor_enabled: found.twoFactorEnabled,
        organizations: found.organizations.filter(({ id }) => only === null || id === only),
      }
    }),
})
