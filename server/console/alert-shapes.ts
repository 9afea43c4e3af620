import { z } from 'zod'
import { ROLES } from '../../db/model/access.ts'
import {
  type AlertRule,
  isDefaultRule,
  PERCENTS,
  RULE_KINDS,
  type RuleKind,
  type RuleSettings,
  SPEND_PERIODS,
} from '../../db/model/alerts.ts'
import { formatUsd, PICO_PER_NANO } from '../../db/model/money.ts'
import { parseUsd } from '../../db/model/usage-query.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, lineSchema, timeSchema } from './page.ts'

/** How alert rules come in and go out. */

const settingShapes = {
  amount_usd: z.string().regex(/^(?!0+(\.0+)?$)\d{1,6}(\.\d{1,9})?$/, 'Give dollars such as 12.50, more than 0'),
  period: z.enum(SPEND_PERIODS),
  error_percent: z.number().min(0.1).max(100),
  window_hours: z.number().int().min(1).max(168),
  min_calls: z.number().int().min(1).max(1_000_000_000),
}

const percents = z.array(z.literal(PERCENTS)).min(1).max(PERCENTS.length)

/** Members that say when a rule fires; which of them may be there depends on its kind. */
const settingsInput = {
  percents: percents.optional().describe('quota and budget: at which parts of it, in percent; 80 and 100 by default'),
  amount_usd: settingShapes.amount_usd.optional().describe('spend: how much a period, in USD'),
  period: settingShapes.period
    .optional()
    .describe('spend: by the calendar in UTC, weeks from Monday; month by default'),
  error_percent: settingShapes.error_percent
    .optional()
    .describe('error_rate: failed calls of a hundred; 10 by default'),
  window_hours: settingShapes.window_hours
    .optional()
    .describe('error_rate: clock hours that are looked at, the running one included; 1 by default'),
  min_calls: settingShapes.min_calls
    .optional()
    .describe('error_rate: with fewer calls than this in the window it stays quiet; 20 by default'),
}

const channelInput = {
  email_role: z
    .enum(ROLES)
    .nullable()
    .describe('Members with this role and those above get an e-mail, one a day at most; null: nobody does'),
  endpoint_ids: z
    .array(idSchema)
    .max(20)
    .nullable()
    .describe('Webhook endpoints that are told; null: all there are, also those to come'),
  enabled: z.boolean(),
}

const nameInput = lineSchema.pipe(z.string().max(100))

export const newRuleInput = z.object({
  name: nameInput,
  kind: z.enum(RULE_KINDS),
  project_id: idSchema.optional().describe('Only what this project does'),
  key_id: idSchema.optional().describe('Only what this key of the project does'),
  ...settingsInput,
  email_role: channelInput.email_role.default('admin'),
  endpoint_ids: channelInput.endpoint_ids.default(null),
  enabled: channelInput.enabled.default(true),
})

export const ruleEditInput = z.object({
  id: idSchema,
  name: nameInput.optional(),
  ...settingsInput,
  email_role: channelInput.email_role.optional(),
  endpoint_ids: channelInput.endpoint_ids.optional(),
  enabled: channelInput.enabled.optional(),
})

export const ruleSchema = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(RULE_KINDS),
  default: z.boolean().describe('Every organization has it; it can be changed and switched off'),
  project_id: z.string().nullable(),
  key_id: z.string().nullable(),
  percents: percents.nullable(),
  amount_usd: z.string().nullable(),
  period: settingShapes.period.nullable(),
  error_percent: z.number().nullable(),
  window_hours: z.number().int().nullable(),
  min_calls: z.number().int().nullable(),
  email_role: z.enum(ROLES).nullable(),
  endpoint_ids: z.array(z.string()).nullable(),
  enabled: z.boolean(),
  updated_at: timeSchema.nullable().describe('Null: a default as it comes'),
})

type SettingsInput = z.output<z.ZodObject<typeof settingsInput>>
type Member = keyof typeof settingsInput

const MEMBERS: Readonly<Partial<Record<RuleKind, readonly Member[]>>> = {
  quota: ['percents'],
  budget: ['percents'],
  spend: ['amount_usd', 'period'],
  error_rate: ['error_percent', 'window_hours', 'min_calls'],
}

/** Kinds that can be about one project or key. */
const OWNED: readonly RuleKind[] = ['quota', 'budget', 'spend', 'error_rate']

/**
 * What a rule of that kind goes by: what is given, else what was there, else what is usual.
 * @throws GatewayError `invalid_request` for members that its kind doesn't have, and where one is missing
 */
export function readSettings(kind: RuleKind, input: SettingsInput, before: RuleSettings = {}): RuleSettings {
  const allowed = MEMBERS[kind] ?? []
  for (const member of Object.keys(settingsInput) as Member[]) {
    if (input[member] === undefined || allowed.includes(member)) continue
    throw new GatewayError('invalid_request', `Rules of the kind ${kind} have no "${member}"`, { param: member })
  }
  switch (kind) {
    case 'quota':
    case 'budget':
      return { percents: PERCENTS.filter((one) => (input.percents ?? before.percents ?? [80, 100]).includes(one)) }
    case 'spend': {
      const amountNano = input.amount_usd === undefined ? before.amountNano : nanoOf(input.amount_usd)
      if (amountNano === undefined) {
        throw new GatewayError('invalid_request', 'Rules of the kind spend need an amount', { param: 'amount_usd' })
      }
      return { amountNano, period: input.period ?? before.period ?? 'month' }
    }
    case 'error_rate':
      return {
        percent: input.error_percent ?? before.percent ?? 10,
        windowHours: input.window_hours ?? before.windowHours ?? 1,
        minCalls: input.min_calls ?? before.minCalls ?? 20,
      }
    default:
      return {}
  }
}

/** @throws GatewayError `invalid_request` */
export function readOwner(input: z.output<typeof newRuleInput>): Pick<AlertRule, 'projectId' | 'keyId'> {
  const { kind, project_id: projectId = null, key_id: keyId = null } = input
  if (projectId !== null && !OWNED.includes(kind)) {
    const message = `Rules of the kind ${kind} are about the whole organization`
    throw new GatewayError('invalid_request', message, { param: 'project_id' })
  }
  if (keyId !== null && projectId === null) {
    throw new GatewayError('invalid_request', 'Say of which project the key is', { param: 'project_id' })
  }
  return { projectId, keyId }
}

function nanoOf(usd: string): number {
  return Number(parseUsd(usd) / BigInt(PICO_PER_NANO))
}

export function shownRule({ settings, ...rule }: AlertRule): z.output<typeof ruleSchema> {
  const { amountNano } = settings
  return {
    id: rule.id,
    name: rule.name,
    kind: rule.kind,
    default: isDefaultRule(rule.id),
    project_id: rule.projectId,
    key_id: rule.keyId,
    percents: settings.percents === undefined ? null : [...settings.percents],
    amount_usd: amountNano === undefined ? null : formatUsd(BigInt(amountNano) * BigInt(PICO_PER_NANO)),
    period: settings.period ?? null,
    error_percent: settings.percent ?? null,
    window_hours: settings.windowHours ?? null,
    min_calls: settings.minCalls ?? null,
    email_role: rule.emailRole,
    endpoint_ids: rule.endpointIds === null ? null : [...rule.endpointIds],
    enabled: rule.enabled,
    updated_at: isoOf(rule.updatedAtMs),
  }
}
