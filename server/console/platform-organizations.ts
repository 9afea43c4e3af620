import { z } from 'zod'
import { PAYS } from '../../db/model/plans.ts'
import type { Organization } from '../../db/stores/organizations.ts'
import { GatewayError } from '../errors.ts'
import { auditEntrySchema, auditFilters, shownPage, storeFilters } from './audit.ts'
import { organizationSchema, shownOrganization } from './organizations.ts'
import { cut, idSchema, pageInput, pageOf } from './page.ts'
import { operating } from './trpc.ts'
import { monthOf } from './usage-periods.ts'

const tags = ['Platform']

/** What who runs the installation does with everybody's organizations: a part of the router `platform`. */
export const platformOrganizationProcedures = {
  organizations: operating
    .meta({
      openapi: {
        method: 'GET',
        path: '/platform/organizations',
        tags,
        summary: 'List all organizations',
        protect: true,
      },
    })
    .input(z.object(pageInput))
    .output(
      pageOf(
        organizationSchema.extend({
          members: z.number().int(),
          requests_this_month: z.number().int().describe('Since the first of the month, UTC'),
        }),
      ),
    )
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const page = { limit: limit + 1, after: cursor, sinceMs: monthOf(ctx.deps.clock.now()) }
      const rows = await ctx.control.stores.organizations.listAll(page)
      const { data, next } = cut(rows, limit, (row) => row.id)
      return {
        data: data.map((row) => ({
          ...shownOrganization(row),
          members: row.members,
          requests_this_month: row.calls,
        })),
        next_cursor: next,
      }
    }),

  setPlan: operating
    .meta({
      openapi: {
        method: 'PUT',
        path: '/platform/organizations/{id}/plan',
        tags,
        summary: 'Put an organization on a plan',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema, plan: z.string().min(1).max(64).describe('Id of the plan') }))
    .output(organizationSchema)
    .mutation(async ({ ctx, input: { id, plan } }) => {
      const { plans, stores } = ctx.control
      // It may have been made on another instance, just now.
      await plans.reload()
      const open = plans.all().filter(({ archived }) => !archived)
      if (!open.some((one) => one.id === plan)) {
        const message = `There is no such plan; there are ${open.map((one) => one.id).join(', ')}`
        throw new GatewayError('invalid_request', message, { param: 'plan' })
      }
      return shown(await stores.organizations.setPlan(ctx.change, id, plan))
    }),

  setPays: operating
    .meta({
      openapi: {
        method: 'PUT',
        path: '/platform/organizations/{id}/pays',
        tags,
        summary: 'Say whether the calls of an organization are charged',
        description:
          'Calls with a provider key of the project itself, and those of the sandbox, are never charged. With `credits` an organization calls as long as it has some.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema, pays: z.enum(PAYS) }))
    .output(organizationSchema)
    .mutation(async ({ ctx, input: { id, pays } }) => {
      return shown(await ctx.control.stores.organizations.setPays(ctx.change, id, pays))
    }),

  audit: operating
    .meta({
      openapi: {
        method: 'GET',
        path: '/platform/audit',
        tags,
        summary: 'List changes of the platform and of all organizations',
        protect: true,
      },
    })
    .input(
      z.object({
        ...auditFilters,
        organization_id: idSchema.optional().describe('Only of this organization, even if it is gone'),
        ...pageInput,
      }),
    )
    .output(pageOf(auditEntrySchema))
    .query(async ({ ctx, input: { limit, cursor = null, organization_id: organizationId = null, ...filters } }) => {
      const page = { ...storeFilters(filters), organizationId, limit: limit + 1, after: cursor }
      return shownPage(await ctx.control.stores.auditLog.listAll(page), limit)
    }),
}

function shown(found: Organization | null): z.output<typeof organizationSchema> {
  if (found === null) throw new GatewayError('not_found', 'There is no such organization')
  return shownOrganization(found)
}
