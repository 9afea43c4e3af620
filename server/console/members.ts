import { z } from 'zod'
import { ROLES } from '../../db/model/access.ts'
import type { MemberRefusal } from '../../db/model/members.ts'
import type { Member } from '../../db/stores/members.ts'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { cut, idSchema, isoOf, pageInput, pageOf, timeSchema } from './page.ts'
import { personOf, router, scoped } from './trpc.ts'

export const roleSchema = z.enum(ROLES).describe('Each may do all that those before it may')

const memberSchema = z.object({
  user_id: z.string(),
  email: z.string(),
  name: z.string(),
  role: roleSchema,
  joined_at: timeSchema,
})

const doneSchema = z.object({ ok: z.literal(true) })
const tags = ['Members']

/** Who is in an organization. */
export const members = router({
  list: scoped
    .meta({ openapi: { method: 'GET', path: '/members', tags, summary: 'List the members', protect: true } })
    .input(z.object(pageInput))
    .output(pageOf(memberSchema))
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const rows = await ctx.control.stores.members.list(ctx.scope, { limit: limit + 1, after: cursor })
      const { data, next } = cut(rows, limit, (row) => row.userId)
      return { data: data.map(shown), next_cursor: next }
    }),

  setRole: scoped
    .meta({
      openapi: { method: 'PATCH', path: '/members/{user_id}', tags, summary: 'Give a member a role', protect: true },
    })
    .input(z.object({ user_id: idSchema, role: roleSchema }))
    .output(memberSchema)
    .mutation(async ({ ctx, input: { user_id: userId, role } }) => {
      const byUserId = personOf(ctx).id
      const answer = await ctx.control.stores.members.setRole(ctx.change, { byUserId, userId, role })
      if (typeof answer === 'string') throw refused(answer)
      return shown(answer)
    }),

  remove: scoped
    .meta({
      openapi: { method: 'DELETE', path: '/members/{user_id}', tags, summary: 'Remove a member', protect: true },
    })
    .input(z.object({ user_id: idSchema }))
    .output(doneSchema)
    .mutation(async ({ ctx, input: { user_id: userId } }) => {
      const refusal = await ctx.control.stores.members.remove(ctx.change, { byUserId: personOf(ctx).id, userId })
      if (refusal !== null) throw refused(refusal)
      return { ok: true }
    }),

  leave: scoped
    .meta({
      openapi: { method: 'POST', path: '/members/leave', tags, summary: 'Leave the organization', protect: true },
    })
    .input(z.object({}))
    .output(doneSchema)
    .mutation(async ({ ctx }) => {
      const { id } = personOf(ctx)
      const refusal = await ctx.control.stores.members.remove(ctx.change, { byUserId: id, userId: id })
      if (refusal !== null) throw refused(refusal)
      return { ok: true }
    }),
})

const REFUSALS: Readonly<Record<MemberRefusal, readonly [code: ErrorCode, message: string]>> = {
  not_found: ['not_found', 'There is no such member'],
  role_too_low: ['insufficient_permissions', 'This needs the role admin'],
  above_own_role: ['insufficient_permissions', 'Nobody can give a role above their own'],
  only_owners: ['insufficient_permissions', 'Only owners can make or unmake owners'],
  last_owner: ['invalid_request', 'An organization needs an owner; make somebody else an owner first'],
}

/** Why a change of who is in an organization didn't happen. */
export function refused(refusal: MemberRefusal): GatewayError {
  return new GatewayError(...REFUSALS[refusal])
}

function shown({ userId, email, name, role, joinedAtMs }: Member): z.output<typeof memberSchema> {
  return { user_id: userId, email, name, role, joined_at: isoOf(joinedAtMs) }
}
