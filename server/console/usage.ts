import { z } from 'zod'
import type { Scope } from '../../db/model/access.ts'
import { writeCursor } from '../../db/model/usage-query.ts'
import type { Control } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, timeSchema } from './page.ts'
import { quota, quotaSchema } from './quota.ts'
import { router, scoped } from './trpc.ts'
import { hourFrom, hourTo } from './usage-periods.ts'
import { stats, statsSchema, totals, totalsSchema } from './usage-reports.ts'
import {
  cursorSchema,
  logSchema,
  momentSchema,
  readFilters,
  readPosition,
  readSpan,
  shownLog,
  shownSummary,
  shownSums,
  summarySchema,
  sumsSchema,
  usageFilters,
} from './usage-shapes.ts'

const tags = ['Usage']

const projectInput = idSchema.optional().describe('One project only; without it all of the organization’s')

const logsSchema = z.object({
  logs: z.array(logSchema).describe('Newest first'),
  total: z.number().int().describe('Calls on all pages'),
  total_is_exact: z.boolean().describe('False: there are at least `total`, and the summary is of the newest of them'),
  summary: summarySchema,
  next_cursor: z
    .string()
    .nullable()
    .describe('Where the next page starts, null: this is the last one. A page with one may hold few calls, or none'),
})

/** What was called, and what it used. */
export const usage = router({
  logs: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/projects/{id}/usage',
        tags,
        summary: 'List calls',
        description:
          'The work for one page is bounded: with filters that few calls pass, a page can be short and still have a next one. A call is here within a second of its end.',
        protect: true,
      },
    })
    .input(
      z.object({
        id: idSchema,
        ...usageFilters,
        limit: z.number().int().min(1).max(1000).default(50),
        cursor: cursorSchema.optional(),
      }),
    )
    .output(logsSchema)
    .query(async ({ ctx, input: { id, limit, cursor, ...filters } }) => {
      const ask = { projectId: id, filter: readFilters(filters) }
      const after = readPosition(cursor)
      await requireProject(ctx.control, ctx.scope, id)
      const page = await ctx.control.stores.usage.page(ctx.scope, ask, { limit, after })
      const { totals, isExact } = await ctx.control.stores.usage.summary(ctx.scope, ask)
      return {
        logs: page.calls.map(shownLog),
        total: totals.requests,
        total_is_exact: isExact,
        summary: shownSummary(totals),
        next_cursor: page.next === null ? null : writeCursor(page.next),
      }
    }),

  stats: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/dashboard/stats',
        tags,
        summary: 'Read the dashboard’s figures',
        protect: true,
      },
    })
    .input(
      z.object({
        period: z.enum(['7d', '30d', 'all']).default('30d').describe('Days in UTC, today’s among them'),
        project_id: projectInput,
      }),
    )
    .output(statsSchema)
    .query(async ({ ctx, input: { period, project_id } }) => {
      await requireProject(ctx.control, ctx.scope, project_id)
      return stats(ctx, { period, projectId: project_id ?? null })
    }),

  breakdown: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/usage/breakdown',
        tags,
        summary: 'Break usage down',
        description: 'Hours count as a whole: `from` and `to` of the answer are those of the sums.',
        protect: true,
      },
    })
    .input(
      z.object({
        by: z.enum(['key', 'model', 'provider', 'end_user', 'project']),
        from: momentSchema.optional().describe('Inclusive'),
        to: momentSchema.optional().describe('Exclusive'),
        project_id: projectInput,
        limit: z.number().int().min(1).max(1000).default(100),
      }),
    )
    .output(
      z.object({
        data: z
          .array(sumsSchema.extend({ id: z.string().nullable(), name: z.string().nullable() }))
          .describe('Most requests first; a null id stands for the calls without any'),
        has_more: z.boolean(),
        from: timeSchema.nullable().describe('Null: from the first call on'),
        to: timeSchema.nullable().describe('Null: to the last call'),
        is_exact: z
          .boolean()
          .describe('False: by end user there were too many calls, and only those since `from` count'),
      }),
    )
    .query(async ({ ctx, input: { by, from, to, project_id, limit } }) => {
      await requireProject(ctx.control, ctx.scope, project_id)
      const span = hoursOf(from, to)
      const ask = { projectId: project_id ?? null, ...span }
      const { parts, hasMore, coveredFromMs } = await ctx.control.stores.usage.parts(ctx.scope, ask, { by, limit })
      return {
        data: parts.map((part) => ({ id: part.id, name: part.name, ...shownSums(part.totals) })),
        has_more: hasMore,
        from: isoOf(coveredFromMs ?? span.fromMs),
        to: isoOf(span.toMs),
        is_exact: coveredFromMs === null,
      }
    }),

  totals: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/usage',
        tags,
        summary: 'Read totals of usage',
        description: 'API keys may, for their own project. Hours count as a whole.',
        protect: true,
      },
    })
    .input(
      z.object({
        from: momentSchema.optional().describe('Inclusive; default: the first of this month, UTC'),
        to: momentSchema.optional().describe('Exclusive'),
        project_id: projectInput,
      }),
    )
    .output(totalsSchema)
    .query(async ({ ctx, input: { from, to, project_id } }) => {
      const { onlyProjectId } = ctx
      if (onlyProjectId !== null && project_id !== undefined && project_id !== onlyProjectId) throw noProject()
      if (onlyProjectId === null) await requireProject(ctx.control, ctx.scope, project_id)
      return totals(ctx, { projectId: onlyProjectId ?? project_id ?? null, ...hoursOf(from, to) })
    }),

  quota: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/quota',
        tags,
        summary: 'Read what is left of all limits',
        description:
          'An API key sees all that holds for its calls: its own limits, its project’s, the plan’s and the budgets. Others name the project and the key, or see the plan’s. A call is in it within a second of its end; calls under way count with what is held for them.',
        protect: true,
      },
    })
    .input(z.object({ project_id: projectInput, key_id: idSchema.optional().describe('One of the project’s keys') }))
    .output(quotaSchema)
    .query(({ ctx, input: { project_id, key_id } }) => {
      return quota(ctx, { projectId: project_id ?? null, keyId: key_id ?? null })
    }),
})

/** @throws GatewayError `not_found` for a project that the organization doesn't have */
export async function requireProject(control: Control, scope: Scope, projectId: string | undefined): Promise<void> {
  if (projectId !== undefined && !(await control.stores.usage.hasProject(scope, projectId))) throw noProject()
}

function noProject(): GatewayError {
  return new GatewayError('not_found', 'There is no such project in this organization')
}

function hoursOf(from: string | undefined, to: string | undefined) {
  const { fromMs, toMs } = readSpan(from, to)
  return { fromMs: fromMs === null ? null : hourFrom(fromMs), toMs: toMs === null ? null : hourTo(toMs) }
}
