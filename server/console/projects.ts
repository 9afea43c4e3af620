import { z } from 'zod'
import { displayPrefix, makeId } from '../../db/model/ids.ts'
import { formatUsd } from '../../db/model/money.ts'
import type { ProjectTotals, StoredProject } from '../../db/stores/projects.ts'
import { GatewayError } from '../errors.ts'
import { requireBodyLogging } from './body-settings.ts'
import { cut, idSchema, isoOf, lineSchema, pageInput, pageOf, timeSchema } from './page.ts'
import { newSecret } from './secret.ts'
import {
  projectSettings,
  projectSettingsInput,
  readProjectSettings,
  requireProvider,
  shownProjectSettings,
} from './settings.ts'
import { personOf, router, scoped } from './trpc.ts'
import { monthOf } from './usage-periods.ts'

const statsSchema = z
  .object({
    requests_this_month: z.number().int(),
    cost_this_month: z.string().describe('USD, a decimal string'),
    cache_hit_rate: z.number().min(0).max(1).describe('Of this month’s requests; 0 when there are none'),
  })
  .describe('Of the calendar month in UTC')

const projectSchema = z.object({
  id: z.string(),
  name: z.string(),
  provider: z.string().nullable().describe('Takes the calls whose key prefers none, where it has the model'),
  settings: projectSettings,
  created_at: timeSchema,
  archived_at: timeSchema.nullable().describe('Its keys don’t work from then on; null: they do'),
  stats: statsSchema,
})

const changedSchema = projectSchema.omit({ stats: true })
const nameSchema = lineSchema.pipe(z.string().max(100))
const providerSchema = z.string().max(64).nullable()

const tags = ['Projects']

/** Projects: what keys, provider keys and usage belong to. */
export const projects = router({
  list: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/projects',
        tags,
        summary: 'List projects',
        description: 'In the order of their making, archived ones too.',
        protect: true,
      },
    })
    .input(z.object(pageInput))
    .output(pageOf(projectSchema))
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const sinceMs = monthOf(ctx.deps.clock.now())
      const rows = await ctx.control.stores.projects.list(ctx.scope, { after: cursor, limit: limit + 1, sinceMs })
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map(withStats), next_cursor: next }
    }),

  get: scoped
    .meta({ openapi: { method: 'GET', path: '/projects/{id}', tags, summary: 'Read a project', protect: true } })
    .input(z.object({ id: idSchema }))
    .output(projectSchema)
    .query(async ({ ctx, input: { id } }) => {
      const sinceMs = monthOf(ctx.deps.clock.now())
      const [row] = await ctx.control.stores.projects.list(ctx.scope, { id, after: null, limit: 1, sinceMs })
      if (row === undefined) throw noProject()
      return withStats(row)
    }),

  create: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/projects',
        tags,
        summary: 'Make a project and its first key',
        protect: true,
      },
    })
    .input(
      z.object({
        name: nameSchema,
        provider: providerSchema.default(null),
        settings: projectSettingsInput.default({}),
      }),
    )
    .output(
      z.object({
        id: z.string(),
        name: z.string(),
        provider: z.string().nullable(),
        api_key: z.string().describe('Its first key, shown here only'),
        created_at: timeSchema,
      }),
    )
    .mutation(async ({ ctx, input: { name, provider, settings } }) => {
      const { change, control, deps } = ctx
      if (provider !== null) requireProvider(provider, 'provider', deps)
      const read = readProjectSettings(settings, deps)
      requireBodyLogging(ctx.role, null, read.bodyLogging)
      const id = makeId('prj', change.atMs, deps.random.bytes(16))
      const { secret, sha256 } = newSecret(deps.random, 'lgw_proj_')
      await control.stores.projects.create(change, {
        id,
        name,
        provider,
        settings: read,
        firstKey: {
          id: makeId('key', change.atMs, deps.random.bytes(16)),
          name: 'First key',
          kind: 'project',
          secretSha256: sha256,
          displayPrefix: displayPrefix(secret),
          createdBy: personOf(ctx).id,
        },
      })
      return { id, name, provider, api_key: secret, created_at: isoOf(change.atMs) }
    }),

  update: scoped
    .meta({
      openapi: {
        method: 'PATCH',
        path: '/projects/{id}',
        tags,
        summary: 'Change, archive or revive a project',
        description:
          'What is left out stays as it is. The keys of an archived project stop working; when it is revived, those work again that were not revoked.',
        protect: true,
      },
    })
    .input(
      z.object({
        id: idSchema,
        name: nameSchema.optional(),
        provider: providerSchema.optional(),
        settings: projectSettingsInput.optional(),
        archived: z.boolean().optional(),
      }),
    )
    .output(changedSchema)
    .mutation(async ({ ctx, input: { id, name, provider, settings, archived } }) => {
      const { change, control, deps } = ctx
      if (typeof provider === 'string') requireProvider(provider, 'provider', deps)
      const read = settings === undefined ? {} : readProjectSettings(settings, deps)
      if (read.bodyLogging !== undefined) {
        const project = await control.stores.projects.find(ctx.scope, id)
        if (project === null) throw noProject()
        requireBodyLogging(ctx.role, project.settings, read.bodyLogging)
      }
      const changed = await control.stores.projects.update(change, id, {
        ...(name === undefined ? {} : { name }),
        ...(provider === undefined ? {} : { provider }),
        ...(settings === undefined ? {} : { settings: read }),
        ...(archived === undefined ? {} : { archived }),
      })
      if (changed === null) throw noProject()
      return shown(changed)
    }),

  delete: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/projects/{id}',
        tags,
        summary: 'Delete a project',
        description:
          'Its keys stop at once. They, its provider keys, stored responses, conversations and logged bodies are gone for good; its logs and usage stay. The default project can only be archived.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema }))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input: { id } }) => {
      const done = await ctx.control.stores.projects.delete(ctx.change, id)
      if (done === null) throw noProject()
      if (done === 'default') {
        throw new GatewayError('invalid_request', 'The gateway starts with this project: archive it instead')
      }
      return { ok: true }
    }),
})

function noProject(): GatewayError {
  return new GatewayError('not_found', 'There is no such project')
}

function shown({ id, name, provider, settings, createdAtMs, archivedAtMs }: StoredProject) {
  const times = { created_at: isoOf(createdAtMs), archived_at: isoOf(archivedAtMs) }
  return { id, name, provider, settings: shownProjectSettings(settings), ...times }
}

function withStats(project: StoredProject & { readonly totals: ProjectTotals }): z.output<typeof projectSchema> {
  const { requests, cached, costPico } = project.totals
  const stats = {
    requests_this_month: requests,
    cost_this_month: formatUsd(costPico),
    cache_hit_rate: requests === 0 ? 0 : cached / requests,
  }
  return { ...shown(project), stats }
}
