import type { AlertRule, FiringEvent, QuotaEvent } from '../../db/model/alerts.ts'
import { formatUsd, PICO_PER_NANO } from '../../db/model/money.ts'
import { type EventNames, line, wordsFor } from './words.ts'

/** Of the body's shape: raised when a member changes its meaning or goes. */
const VERSION = 1
const MAX_NAME = 200

export interface PayloadParts {
  readonly eventId: string
  readonly rule: Pick<AlertRule, 'id' | 'name'>
  /** Who is told; null: those who run the installation. */
  readonly organizationId: string | null
  readonly names: EventNames | null
  readonly atMs: number
}

/** What of a body is read again, for mails and lists. */
export interface ReadPayload {
  readonly message: string
  readonly advice: string
  readonly rule: string
  readonly organization: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

/** The body of a webhook: JSON with `type`, `timestamp` and `data`; no secret is in it. */
export function payloadOf(event: FiringEvent, parts: PayloadParts): string {
  const { eventId, rule, organizationId, names, atMs } = parts
  const { message, advice } = wordsFor(event, names)
  return JSON.stringify({
    type: `alert.${event.kind}`,
    version: VERSION,
    timestamp: new Date(atMs).toISOString(),
    data: {
      event_id: eventId,
      rule: { id: rule.id, name: rule.name },
      organization: organizationId === null ? null : { id: organizationId, name: names?.organization ?? null },
      message,
      advice,
      facts: factsOf(event),
    },
  })
}

/** @param payload as payloadOf made it */
export function readPayload(payload: string): ReadPayload {
  const { data } = JSON.parse(payload) as {
    readonly data: {
      readonly message: string
      readonly advice: string
      readonly rule: { readonly name: string }
      readonly organization: { readonly name: string | null } | null
      readonly facts: ReadPayload['facts']
    }
  }
  const { message, advice, facts } = data
  return { message, advice, facts, rule: data.rule.name, organization: data.organization?.name ?? null }
}

/** What programs go by. Money is decimal strings in USD. */
function factsOf(event: FiringEvent): Record<string, unknown> {
  switch (event.kind) {
    case 'quota':
    case 'budget':
      return quotaFacts(event)
    case 'spend': {
      const { period, amountNano, spentPico, periodStartMs } = event
      const since = new Date(periodStartMs).toISOString()
      return { ...ownerOf(event), period, since, amount_usd: usd(amountNano), spent_usd: formatUsd(spentPico) }
    }
    case 'error_rate': {
      const { windowHours, percent, errors, calls } = event
      return { ...ownerOf(event), window_hours: windowHours, percent, errors, calls }
    }
    case 'credits_low':
      return { balance_usd: formatUsd(event.balancePico) }
    case 'payment_failed':
      return { failures: event.failures }
    case 'provider_paused':
    case 'provider_down':
      return { provider: line(event.provider, MAX_NAME), reason: line(event.reason, MAX_NAME) }
    case 'credential_refused':
      return { provider: line(event.provider, MAX_NAME), credential: line(event.credential, MAX_NAME) }
    case 'price_missing':
      return { provider: line(event.provider, MAX_NAME), model: line(event.model, MAX_NAME) }
    case 'test':
      return {}
  }
}

function quotaFacts(event: QuotaEvent): Record<string, unknown> {
  const { what, period, percent, limit, resetMs } = event
  const resets_at = resetMs === null ? null : new Date(resetMs).toISOString()
  return { ...ownerOf(event), what, period, percent, limit: what === 'spend' ? usd(limit) : limit, resets_at }
}

function ownerOf({ projectId, keyId }: { readonly projectId: string | null; readonly keyId: string | null }) {
  return { project_id: projectId, key_id: keyId }
}

function usd(nano: number): string {
  return formatUsd(BigInt(nano) * BigInt(PICO_PER_NANO))
}
