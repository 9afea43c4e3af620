import { z } from 'zod'
import { endpointContext, MAX_ENDPOINTS, type WebhookEndpoint } from '../../db/model/alerts.ts'
import { makeId } from '../../db/model/ids.ts'
import { newWebhookSecret } from '../alerts.ts'
import type { Control } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, pageOf, timeSchema } from './page.ts'
import { router, scoped } from './trpc.ts'

const HOUR_MS = 3_600_000

const endpointSchema = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string(),
  enabled: z.boolean(),
  disabled_reason: z.string().nullable().describe('Why the gateway has switched it off; null: it has not'),
  previous_secret_until: timeSchema.nullable().describe('Until then the secret before signs as well'),
  created_at: timeSchema,
  updated_at: timeSchema,
})

const secretSchema = endpointSchema.extend({
  secret: z.string().describe('Shown here only: verify messages with it as Standard Webhooks says'),
})

const url = z.string().trim().max(2048).describe('Public, http or https, without query and fragment')
const description = z
  .string()
  .trim()
  .max(200)
  .regex(/^\P{Cc}*$/u, 'Control characters can not be used here')
const tags = ['Alerts']
const path = '/alerts/endpoints'

/** Where an organization is told by webhook: Standard Webhooks, signed and retried for a day. */
export const webhookEndpoints = router({
  list: scoped
    .meta({ openapi: { method: 'GET', path, tags, summary: 'List webhook endpoints', protect: true } })
    .input(z.object({}))
    .output(pageOf(endpointSchema))
    .query(async ({ ctx }) => {
      const all = await ctx.control.stores.webhookEndpoints.list(ctx.scope)
      return { data: all.map(shown), next_cursor: null }
    }),

  create: scoped
    .meta({ openapi: { method: 'POST', path, tags, summary: 'Add a webhook endpoint', protect: true } })
    .input(z.object({ url, description: description.default('') }))
    .output(secretSchema)
    .mutation(async ({ ctx, input }) => {
      const { change, control, deps } = ctx
      await checkUrl(control, input.url)
      const id = makeId('whe', change.atMs, deps.random.bytes(16))
      const secret = newWebhookSecret(deps.random)
      const sealed = control.vault.seal(secret, endpointContext(id))
      const made = await control.stores.webhookEndpoints.create(change, { id, ...input, sealed })
      if (made === 'full') {
        throw new GatewayError('invalid_request', `There are ${MAX_ENDPOINTS} endpoints already: delete one first`)
      }
      return { ...shown(made), secret }
    }),

  update: scoped
    .meta({
      openapi: { method: 'PATCH', path: `${path}/{id}`, tags, summary: 'Change a webhook endpoint', protect: true },
    })
    .input(
      z.object({
        id: idSchema,
        url: url.optional(),
        description: description.optional(),
        enabled: z.boolean().optional().describe('Switched off it gets nothing, and nothing is kept for it'),
      }),
    )
    .output(endpointSchema)
    .mutation(async ({ ctx, input: { id, url: to, description: text, enabled } }) => {
      if (to !== undefined) await checkUrl(ctx.control, to)
      const edit = {
        ...(to === undefined ? {} : { url: to }),
        ...(text === undefined ? {} : { description: text }),
        ...(enabled === undefined ? {} : { enabled }),
      }
      return shown((await ctx.control.stores.webhookEndpoints.update(ctx.change, id, edit)) ?? noEndpoint())
    }),

  rotate: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: `${path}/{id}/rotate`,
        tags,
        summary: 'Give a webhook endpoint a new secret',
        description: 'For a while messages carry the signatures of both, so that receivers can change over in between.',
        protect: true,
      },
    })
    .input(
      z.object({
        id: idSchema,
        grace_hours: z.number().int().min(0).max(168).default(24).describe('How long the secret before signs as well'),
      }),
    )
    .output(secretSchema)
    .mutation(async ({ ctx, input }) => {
      const { change, control, deps } = ctx
      const secret = newWebhookSecret(deps.random)
      const next = {
        sealed: control.vault.seal(secret, endpointContext(input.id)),
        previousUntilMs: change.atMs + input.grace_hours * HOUR_MS,
      }
      const rotated = await control.stores.webhookEndpoints.rotate(change, input.id, next)
      return { ...shown(rotated ?? noEndpoint()), secret }
    }),

  delete: scoped
    .meta({
      openapi: { method: 'DELETE', path: `${path}/{id}`, tags, summary: 'Delete a webhook endpoint', protect: true },
    })
    .input(z.object({ id: idSchema }))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input }) => {
      if (!(await ctx.control.stores.webhookEndpoints.delete(ctx.change, input.id))) noEndpoint()
      return { ok: true }
    }),
})

/** @throws GatewayError `invalid_request` for a place that nothing is sent to */
async function checkUrl({ tenantHosts }: Control, given: string): Promise<void> {
  const parsed = URL.canParse(given) ? new URL(given) : null
  const isPlain = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username + parsed.password === ''
  const form = 'The URL must begin with https:// or http:// and have no user, query and fragment'
  const objection = isPlain && !/[?#\s]/.test(given) ? await tenantHosts.objection(given) : form
  // The guard speaks of base URLs, as providers have them.
  if (objection !== null) {
    throw new GatewayError('invalid_request', objection.replace('base URL', 'URL'), { param: 'url' })
  }
}

function shown(endpoint: WebhookEndpoint): z.output<typeof endpointSchema> {
  return {
    id: endpoint.id,
    url: endpoint.url,
    description: endpoint.description,
    enabled: endpoint.enabled,
    disabled_reason: endpoint.disabledReason,
    previous_secret_until: isoOf(endpoint.previousUntilMs),
    created_at: isoOf(endpoint.createdAtMs),
    updated_at: isoOf(endpoint.updatedAtMs),
  }
}

function noEndpoint(): never {
  throw new GatewayError('not_found', 'There is no such webhook endpoint')
}
