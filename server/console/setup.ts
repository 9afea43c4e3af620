import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { makeId } from '../../db/model/ids.ts'
import { GatewayError } from '../errors.ts'
import { MAX_NAME, MAX_PASSWORD, MIN_PASSWORD } from './people/gate.ts'
import { hashPassword } from './people/password.ts'
import { type Context, open, router } from './trpc.ts'

const statusSchema = z.object({
  needs_admin: z.boolean().describe('Nobody has an account yet: the first admin is to be made'),
  needs_token: z
    .boolean()
    .describe('Making the admin takes the token of the printed link; from this machine it does not'),
  sign_up: z.enum(['open', 'invite']).describe('With invite, only who is invited can make an account'),
  providers: z.array(z.string()).describe('Ways to sign in beside e-mail and password: github, google, oidc'),
  mail: z.boolean().describe('Addresses are verified, and forgotten passwords can be reset by mail'),
})

const adminInput = z.object({
  token: z.string().max(200).optional().describe('Of the link that the gateway prints at its start'),
  email: z.email().max(320),
  password: z.string().min(MIN_PASSWORD).max(MAX_PASSWORD),
  name: z.string().trim().min(1).max(MAX_NAME),
})

const adminSchema = z.object({ id: z.string(), email: z.string(), name: z.string() })

/** The first visit: who may make the first admin, and making it. */
export const setup = router({
  status: open
    .meta({ openapi: { method: 'GET', path: '/setup', tags: ['setup'], summary: 'How people get in', protect: false } })
    .input(z.object({}))
    .output(statusSchema)
    .query(async ({ ctx }) => {
      const { people, stores, mail } = ctx.control
      const needsAdmin = !(await stores.people.any())
      return {
        needs_admin: needsAdmin,
        needs_token: needsAdmin && !ctx.isLocal,
        sign_up: people.logins.signUp,
        providers: [...people.logins.providers],
        mail: mail !== null,
      }
    }),

  createAdmin: open
    .meta({
      openapi: {
        method: 'POST',
        path: '/setup/admin',
        tags: ['setup'],
        summary: 'Make the first admin, once',
        protect: false,
      },
    })
    .input(adminInput)
    .output(adminSchema)
    .mutation(async ({ ctx, input }) => {
      const { people } = ctx.control.stores
      if (await people.any()) throw done()
      // Before the password is hashed: that costs as much as many calls.
      if (!ctx.isLocal && !(await fits(ctx, input.token ?? ''))) {
        throw new GatewayError('insufficient_permissions', 'Open the set-up link that the gateway has printed', {
          param: 'token',
        })
      }
      const { clock, random } = ctx.deps
      const atMs = clock.now()
      const id = makeId('usr', atMs, random.bytes(16))
      const { name } = input
      const email = input.email.toLowerCase()
      const made = await people.createAdmin(
        {
          actor: { kind: 'user', id, name: email },
          action: 'setup.createAdmin',
          atMs,
          auditId: makeId('aud', atMs, random.bytes(16)),
          requestId: ctx.requestId,
          address: ctx.address,
        },
        {
          id,
          accountId: Buffer.from(random.bytes(18)).toString('base64url'),
          name,
          email,
          passwordHash: await hashPassword(input.password),
        },
      )
      if (!made) throw done()
      return { id, email, name }
    }),
})

function done(): GatewayError {
  return new GatewayError('insufficient_permissions', 'There is an admin already: sign in')
}

async function fits({ control }: Context, token: string): Promise<boolean> {
  const given = createHash('sha256').update(token).digest('hex')
  const known = await control.stores.people.setupSecrets()
  return known.some((hash) => hash.length === given.length && timingSafeEqual(Buffer.from(hash), Buffer.from(given)))
}
