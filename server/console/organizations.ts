import { z } from 'zod'
import type { Role } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import { firstOf, PAYS } from '../../db/model/plans.ts'
import type { DeleteRefusal, Organization } from '../../db/stores/organizations.ts'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { roleSchema } from './members.ts'
import { cut, isoOf, lineSchema, pageInput, pageOf, timeSchema } from './page.ts'
import { personal, personOf, router, scoped } from './trpc.ts'

export const organizationSchema = z.object({
  id: z.string(),
  name: z.string(),
  plan: z.string().describe('Id of its plan'),
  pays: z
    .enum(PAYS)
    .describe('For calls over the accounts of the platform: `none` (nothing is charged) or `credits`, in advance'),
  created_at: timeSchema,
  is_default: z.boolean().describe('It was made at the first start and can not be deleted'),
})

const ownSchema = organizationSchema.extend({ role: roleSchema.describe('What the caller is in it') })
const name = lineSchema.pipe(z.string().max(100))
const tags = ['Organizations']

/** What people belong to, and everything else belongs to. */
export const organizations = router({
  list: personal
    .meta({
      openapi: {
        method: 'GET',
        path: '/organizations',
        tags,
        summary: 'List the organizations you are in',
        protect: true,
      },
    })
    .input(z.object(pageInput))
    .output(pageOf(ownSchema))
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const only = ctx.caller.kind === 'token' ? ctx.caller.organizationId : null
      const page = { limit: limit + 1, after: cursor, only }
      const rows = await ctx.control.stores.organizations.listOf(ctx.person.id, page)
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map((row) => owned(row, row.role)), next_cursor: next }
    }),

  create: personal
    .meta({
      openapi: {
        method: 'POST',
        path: '/organizations',
        tags,
        summary: 'Make an organization of yours',
        protect: true,
      },
    })
    .input(z.object({ name }))
    .output(ownSchema)
    .mutation(async ({ ctx, input }) => {
      const { deps, control, change, person } = ctx
      const id = makeId('org', change.atMs, deps.random.bytes(16))
      const plan = firstOf(control.plans.all()).id
      // Who can buy credits pays for what it calls; an installation that sells nothing works without.
      const pays = control.billing == null ? 'none' : 'credits'
      const organization = { id, name: input.name, plan, pays, ownerId: person.id } as const
      const made = await control.stores.organizations.create(change, organization)
      return owned(made, 'owner')
    }),

  get: scoped
    .meta({
      openapi: { method: 'GET', path: '/organization', tags, summary: 'The current organization', protect: true },
    })
    .input(z.object({}))
    .output(ownSchema)
    .query(async ({ ctx }) => {
      const found = await ctx.control.stores.organizations.find(ctx.scope)
      return owned(found ?? gone(), ctx.role!)
    }),

  update: scoped
    .meta({
      openapi: {
        method: 'PATCH',
        path: '/organization',
        tags,
        summary: 'Rename the current organization',
        protect: true,
      },
    })
    .input(z.object({ name }))
    .output(ownSchema)
    .mutation(async ({ ctx, input }) => {
      const found = await ctx.control.stores.organizations.rename(ctx.change, input.name)
      return owned(found ?? gone(), ctx.role!)
    }),

  delete: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/organization',
        tags,
        summary: 'Delete the current organization',
        description: 'With its members, projects, keys, tokens and kept responses. The log of calls and changes stays.',
        protect: true,
      },
    })
    .input(
      z.object({
        confirm: z
          .string()
          .max(200)
          .optional()
          .describe('Its name: needed while it has projects that are not archived'),
      }),
    )
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input }) => {
      const options = { byUserId: personOf(ctx).id, confirm: input.confirm ?? null }
      const refusal = await ctx.control.stores.organizations.delete(ctx.change, options)
      if (refusal !== null) throw kept(refusal)
      return { ok: true }
    }),
})

const REFUSALS: Readonly<Record<DeleteRefusal, readonly [code: ErrorCode, message: string]>> = {
  not_found: ['not_found', 'There is no such organization'],
  role_too_low: ['insufficient_permissions', 'This needs the role owner'],
  default: ['invalid_request', 'The organization that was made at the first start can not be deleted'],
  has_subscription: ['invalid_request', 'It has a subscription that would be charged on: cancel that first'],
  has_projects: ['invalid_request', 'It has projects that are not archived: archive them, or confirm with its name'],
  name_differs: ['invalid_request', 'This is not the name of the organization'],
}

function kept(refusal: DeleteRefusal): GatewayError {
  const param = refusal === 'has_projects' || refusal === 'name_differs' ? 'confirm' : null
  return new GatewayError(...REFUSALS[refusal], { param })
}

function gone(): never {
  throw new GatewayError(...REFUSALS.not_found)
}

export function shownOrganization(row: Organization): z.output<typeof organizationSchema> {
  const { id, name, plan, pays, createdAtMs, isDefault } = row
  return { id, name, plan, pays, created_at: isoOf(createdAtMs), is_default: isDefault }
}

function owned(row: Organization, role: Role): z.output<typeof ownSchema> {
  return { ...shownOrganization(row), role }
}
