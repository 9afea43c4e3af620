import { z } from 'zod'
import { type AlertRule, DELIVERY_STATES, type Delivery, RULE_KINDS, type TestEvent } from '../../db/model/alerts.ts'
import type { FiredEvent } from '../../db/stores/alerts.ts'
import { fireRule, readPayload } from '../alerts.ts'
import { GatewayError } from '../errors.ts'
import { alertRules } from './alert-rules.ts'
import { cut, idSchema, isoOf, pageInput, pageOf, timeSchema } from './page.ts'
import { type Context, router, scoped, type Within } from './trpc.ts'
import { webhookEndpoints } from './webhook-endpoints.ts'

const tags = ['Alerts']
const MINUTE_MS = 60_000
const EVENT_KINDS = [...RULE_KINDS, 'test'] as const

const eventSchema = z.object({
  id: z.string().describe('Also the `webhook-id` of its messages'),
  rule_id: z.string(),
  rule_name: z.string().describe('As it was then'),
  kind: z.enum(EVENT_KINDS),
  message: z.string(),
  advice: z.string(),
  facts: z.record(z.string(), z.unknown()),
  email: z
    .enum(['sent', 'held'])
    .nullable()
    .describe('held: the rule had sent its e-mail of the day; null: nobody was to get one'),
  created_at: timeSchema,
})

const deliverySchema = z.object({
  id: z.string(),
  event_id: z.string(),
  kind: z.enum(EVENT_KINDS),
  channel: z.enum(['email', 'webhook']),
  endpoint_id: z.string().nullable(),
  user_id: z.string().nullable(),
  state: z.enum(DELIVERY_STATES),
  attempts: z.number().int(),
  next_attempt_at: timeSchema.nullable(),
  last_attempt_at: timeSchema.nullable(),
  response_status: z.number().int().nullable(),
  response_body: z.string().nullable().describe('Its beginning'),
  error: z.string().nullable(),
  created_at: timeSchema,
})

const events = router({
  list: scoped
    .meta({ openapi: { method: 'GET', path: '/alerts/events', tags, summary: 'List what fired', protect: true } })
    .input(z.object({ rule_id: idSchema.optional(), kind: z.enum(EVENT_KINDS).optional(), ...pageInput }))
    .output(pageOf(eventSchema))
    .query(async ({ ctx, input: { rule_id: ruleId, kind, limit, cursor = null } }) => {
      const page = { ruleId, kind, limit: limit + 1, after: cursor }
      const rows = await ctx.control.stores.alerts.events(ctx.scope, page)
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map(shownEvent), next_cursor: next }
    }),
})

const deliveries = router({
  list: scoped
    .meta({
      openapi: { method: 'GET', path: '/alerts/deliveries', tags, summary: 'List what was sent', protect: true },
    })
    .input(
      z.object({
        event_id: idSchema.optional(),
        endpoint_id: idSchema.optional(),
        state: z.enum(DELIVERY_STATES).optional(),
        ...pageInput,
      }),
    )
    .output(pageOf(deliverySchema))
    .query(async ({ ctx, input: { event_id: eventId, endpoint_id: endpointId, state, limit, cursor = null } }) => {
      const page = { eventId, endpointId, state, limit: limit + 1, after: cursor }
      const rows = await ctx.control.stores.alertDeliveries.list(ctx.scope, page)
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map(shownDelivery), next_cursor: next }
    }),

  redeliver: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/alerts/deliveries/{id}/redeliver',
        tags,
        summary: 'Send again',
        description: 'The same message with the same `webhook-id`, at once and with all its attempts before it.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema }))
    .output(deliverySchema)
    .mutation(async ({ ctx, input }) => {
      const again = await ctx.control.stores.alertDeliveries.redeliver(ctx.change, input.id)
      if (again === null) throw new GatewayError('not_found', 'There is no such delivery')
      if (again === 'off') throw switchedOff()
      ctx.deps.alerts?.sendSoon?.()
      return shownDelivery(again)
    }),
})

const test = scoped
  .meta({
    openapi: {
      method: 'POST',
      path: '/alerts/test',
      tags,
      summary: 'Send a test',
      description: 'By all ways of a rule, or to one endpoint; once a minute each.',
      protect: true,
    },
  })
  .input(z.object({ rule_id: idSchema.optional(), endpoint_id: idSchema.optional() }))
  .output(z.object({ event_id: z.string(), deliveries: z.array(deliverySchema) }))
  .mutation(async ({ ctx, input: { rule_id: ruleId, endpoint_id: endpointId } }) => {
    const { scope, change, control, deps } = ctx
    if ((ruleId === undefined) === (endpointId === undefined)) {
      throw new GatewayError('invalid_request', 'Name either a rule or an endpoint', { param: 'rule_id' })
    }
    const rule = ruleId !== undefined ? await ruleOf(ctx, ruleId) : await onlyTo(ctx, endpointId!)
    const minute = Math.floor(change.atMs / MINUTE_MS)
    const event: TestEvent = {
      kind: 'test',
      organizationId: scope.organizationId,
      test: `${endpointId ?? 'rule'}:${minute}`,
    }
    const { clock, random, log } = deps
    const options = { store: control.stores.alertOutbox, hasMail: control.mail !== null, clock, random, log }
    const { fired, eventId } = await fireRule(event, { organizationId: scope.organizationId, rule }, options)
    if (fired !== 'fired') {
      const retryAfter = Math.ceil(((minute + 1) * MINUTE_MS - change.atMs) / 1000)
      throw new GatewayError('rate_limit_exceeded', 'There was a test within this minute: wait a little', {
        retryAfter,
      })
    }
    deps.alerts?.sendSoon?.()
    const sent = await control.stores.alertDeliveries.list(scope, { eventId, limit: 100, after: null })
    return { event_id: eventId, deliveries: sent.map(shownDelivery) }
  })

/** What fired, whom it was told, and by which rules. */
export const alerts = router({ rules: alertRules, endpoints: webhookEndpoints, events, deliveries, test })

async function ruleOf({ control, scope }: Context & Within, id: string): Promise<AlertRule> {
  const found = (await control.stores.alerts.rules(scope)).find((rule) => rule.id === id)
  if (found === undefined) throw new GatewayError('not_found', 'There is no such alert rule')
  return found
}

/** A rule that is none: it tells one endpoint. */
async function onlyTo({ control, scope }: Context & Within, endpointId: string): Promise<AlertRule> {
  const found = await control.stores.webhookEndpoints.find(scope, endpointId)
  if (found === null) throw new GatewayError('not_found', 'There is no such webhook endpoint')
  if (!found.enabled) throw switchedOff()
  const of = { projectId: null, keyId: null, settings: {}, enabled: true, updatedAtMs: null } as const
  return { id: 'test', name: 'Test', kind: 'quota', emailRole: null, endpointIds: [endpointId], ...of }
}

function switchedOff(): GatewayError {
  return new GatewayError('invalid_request', 'The endpoint is switched off: switch it on first')
}

function shownEvent({ payload, ...event }: FiredEvent): z.output<typeof eventSchema> {
  const { message, advice, facts } = readPayload(payload)
  return {
    id: event.id,
    rule_id: event.ruleId,
    rule_name: event.ruleName,
    kind: event.kind,
    ...{ message, advice, facts },
    email: event.mail === 'told' ? 'held' : event.mail,
    created_at: isoOf(event.createdAtMs),
  }
}

function shownDelivery(delivery: Delivery): z.output<typeof deliverySchema> {
  return {
    id: delivery.id,
    event_id: delivery.eventId,
    kind: delivery.kind,
    channel: delivery.channel,
    endpoint_id: delivery.endpointId,
    user_id: delivery.userId,
    state: delivery.state,
    attempts: delivery.attempts,
    next_attempt_at: isoOf(delivery.nextAtMs),
    last_attempt_at: isoOf(delivery.lastAttemptAtMs),
    response_status: delivery.status,
    response_body: delivery.response,
    error: delivery.error,
    created_at: isoOf(delivery.createdAtMs),
  }
}
