import { z } from 'zod'
import { type AlertRule, MAX_RULES } from '../../db/model/alerts.ts'
import { makeId } from '../../db/model/ids.ts'
import type { RuleRefusal } from '../../db/stores/alerts.ts'
import { GatewayError } from '../errors.ts'
import { newRuleInput, readOwner, readSettings, ruleEditInput, ruleSchema, shownRule } from './alert-shapes.ts'
import { idSchema, pageOf } from './page.ts'
import { router, scoped } from './trpc.ts'

const tags = ['Alerts']

/** What an organization wants to be told of. */
export const alertRules = router({
  list: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/alerts/rules',
        tags,
        summary: 'List alert rules',
        description: 'Those that every organization has, as they are or as they were changed, and your own.',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(pageOf(ruleSchema))
    .query(async ({ ctx }) => {
      const rules = await ctx.control.stores.alerts.rules(ctx.scope)
      return { data: rules.map(shownRule), next_cursor: null }
    }),

  create: scoped
    .meta({
      openapi: { method: 'POST', path: '/alerts/rules', tags, summary: 'Make an alert rule', protect: true },
    })
    .input(newRuleInput)
    .output(ruleSchema)
    .mutation(async ({ ctx, input }) => {
      const { change, control, deps } = ctx
      const made = await control.stores.alerts.createRule(change, {
        id: makeId('alr', change.atMs, deps.random.bytes(16)),
        name: input.name,
        kind: input.kind,
        ...readOwner(input),
        settings: readSettings(input.kind, input),
        emailRole: input.email_role,
        endpointIds: input.endpoint_ids,
        enabled: input.enabled,
      })
      return shownRule(ruleOr(made))
    }),

  update: scoped
    .meta({
      openapi: {
        method: 'PATCH',
        path: '/alerts/rules/{id}',
        tags,
        summary: 'Change an alert rule',
        description: 'What it is about stays: kind, project and key.',
        protect: true,
      },
    })
    .input(ruleEditInput)
    .output(ruleSchema)
    .mutation(async ({ ctx, input }) => {
      const store = ctx.control.stores.alerts
      const known = (await store.rules(ctx.scope)).find(({ id }) => id === input.id)
      if (known === undefined) throw noRule()
      const { name, email_role: emailRole, endpoint_ids: endpointIds, enabled } = input
      const changed = await store.updateRule(ctx.change, input.id, {
        settings: readSettings(known.kind, input, known.settings),
        ...(name === undefined ? {} : { name }),
        ...(emailRole === undefined ? {} : { emailRole }),
        ...(endpointIds === undefined ? {} : { endpointIds }),
        ...(enabled === undefined ? {} : { enabled }),
      })
      return shownRule(ruleOr(changed))
    }),

  delete: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/alerts/rules/{id}',
        tags,
        summary: 'Delete an alert rule',
        description: 'A rule that every organization has is as it comes after that; to be rid of it, switch it off.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema }))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input }) => {
      if (!(await ctx.control.stores.alerts.deleteRule(ctx.change, input.id))) throw noRule()
      return { ok: true }
    }),
})

function ruleOr(rule: AlertRule | RuleRefusal | null): AlertRule {
  if (rule === null) throw noRule()
  if (rule === 'full') {
    throw new GatewayError('invalid_request', `There are ${MAX_RULES} rules already: delete one first`)
  }
  if (rule === 'missing') throw new GatewayError('not_found', 'There is no such project, key or endpoint')
  return rule
}

function noRule(): GatewayError {
  return new GatewayError('not_found', 'There is no such alert rule')
}
