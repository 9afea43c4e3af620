import type { Role } from './access.ts'

/** Something that people may want to be told of. Money is pico-dollars. */
export type AlertEvent =
  | QuotaEvent
  | {
      readonly kind: 'credits_low'
      readonly organizationId: string
      readonly balancePico: number
    }
  | { readonly kind: 'payment_failed'; readonly organizationId: string; readonly failures: number }
  | {
      readonly kind: 'provider_paused' | 'provider_down'
      /** Null: of the platform, so of everybody's concern. */
      readonly organizationId: string | null
      readonly provider: string
      readonly reason: string
    }
  | {
      readonly kind: 'credential_refused'
      /** Whose own key it is; null: one of the platform's, which is nobody else's concern. */
      readonly organizationId: string | null
      readonly provider: string
      /** Its id, `env` for the environment's. */
      readonly credential: string
    }
  | {
      readonly kind: 'price_missing'
      readonly organizationId: string
      readonly provider: string
      readonly model: string
    }

/** A part of a limit or budget is used up. */
export interface QuotaEvent {
  /** `budget`: one that somebody has set on spending or use; `quota`: what the plan or a key's settings allow. */
  readonly kind: 'quota' | 'budget'
  readonly organizationId: string
  /** Whose limit it is: null for the organization's, else also `keyId` for a key's own. */
  readonly projectId: string | null
  readonly keyId: string | null
  /** Name of the limit's counter: with `resetMs` and `percent` it names this event for good. */
  readonly counter: string
  readonly what: 'requests' | 'tokens' | 'spend'
  readonly period: 'day' | 'week' | 'month' | 'total'
  readonly percent: 50 | 80 | 100
  /** Requests, tokens or nano-dollars. */
  readonly limit: number
  /** Epoch milliseconds, null: never. */
  readonly resetMs: number | null
}

/** The day's, week's or month's spending of whom a rule is about has passed the rule's amount. */
export interface SpendEvent {
  readonly kind: 'spend'
  readonly organizationId: string
  readonly projectId: string | null
  readonly keyId: string | null
  readonly period: SpendPeriod
  /** Epoch milliseconds. */
  readonly periodStartMs: number
  readonly amountNano: number
  readonly spentPico: bigint
}

/** Of a window's calls more have failed than a rule lets pass. */
export interface ErrorRateEvent {
  readonly kind: 'error_rate'
  readonly organizationId: string
  readonly projectId: string | null
  readonly keyId: string | null
  readonly windowHours: number
  /** Which window it is, of those of its length: the same one fires once. */
  readonly window: number
  readonly percent: number
  readonly errors: number
  readonly calls: number
}

/** Somebody wants to see that a rule or an endpoint works. */
export interface TestEvent {
  readonly kind: 'test'
  readonly organizationId: string
  /** Names this test for good. */
  readonly test: string
}

/** What can fire: what parts raise, and what is found by looking at the rollups. */
export type FiringEvent = AlertEvent | SpendEvent | ErrorRateEvent | TestEvent

/** What a rule can be about. Security events get their kind with the part that finds them. */
export const RULE_KINDS = [
  'quota',
  'budget',
  'spend',
  'credits_low',
  'payment_failed',
  'provider_paused',
  'provider_down',
  'credential_refused',
  'price_missing',
  'error_rate',
] as const
export type RuleKind = (typeof RULE_KINDS)[number]
export type EventKind = FiringEvent['kind']

export const SPEND_PERIODS = ['day', 'week', 'month'] as const
export type SpendPeriod = (typeof SPEND_PERIODS)[number]
export const PERCENTS = [50, 80, 100] as const
export type Percent = (typeof PERCENTS)[number]

/** When a rule fires; which members are set depends on its kind. */
export interface RuleSettings {
  /** quota, budget: at which parts. */
  readonly percents?: readonly Percent[]
  /** spend: beyond so much a period. */
  readonly amountNano?: number
  readonly period?: SpendPeriod
  /** error_rate: at so many failed calls of a hundred, when there were at least so many in the window. */
  readonly percent?: number
  readonly windowHours?: number
  readonly minCalls?: number
}

/** What an organization wants to be told of, and how. */
export interface AlertRule {
  /** `alr_…`, or `default_<kind>` for one that every organization has. */
  readonly id: string
  readonly name: string
  readonly kind: RuleKind
  /** Only of this project, or also only of this key; null: of all. */
  readonly projectId: string | null
  readonly keyId: string | null
  readonly settings: RuleSettings
  /** Members with this role and those above get the e-mail; null: nobody does. */
  readonly emailRole: Role | null
  /** Ids of webhook endpoints; null: all that the organization has. */
  readonly endpointIds: readonly string[] | null
  readonly enabled: boolean
  /** Null: a default as it comes. */
  readonly updatedAtMs: number | null
}

/** What one organization may have of its own. */
export const MAX_RULES = 100
export const MAX_ENDPOINTS = 20
/** Beyond so many a day, further events of one rule are not kept. */
export const MAX_EVENTS_A_DAY = 500
/** An e-mail goes to so many at most, the highest roles first. */
export const MAX_RECIPIENTS = 50

function defaultRule(kind: RuleKind, name: string, settings: RuleSettings = {}): AlertRule {
  const all = { projectId: null, keyId: null, endpointIds: null, updatedAtMs: null, enabled: true } as const
  return { id: `default_${kind}`, name, kind, settings, emailRole: 'admin', ...all }
}

/** What every organization has until it says otherwise, without a row in the database. */
export const DEFAULT_RULES: readonly AlertRule[] = [
  defaultRule('quota', 'Plan or key limit nearly used up', { percents: [80, 100] }),
  defaultRule('budget', 'Budget nearly used up', { percents: [80, 100] }),
  defaultRule('credits_low', 'Credits are low'),
  defaultRule('payment_failed', 'Payment failed'),
  defaultRule('provider_paused', 'Provider paused'),
  defaultRule('credential_refused', 'Provider key refused'),
]

/** The rules in force: an organization's own, and each default that none of them stands in for. */
export function withDefaults(own: readonly AlertRule[]): readonly AlertRule[] {
  const changed = new Set(own.map(({ id }) => id))
  return [...DEFAULT_RULES.filter(({ id }) => !changed.has(id)), ...own]
}

export function isDefaultRule(id: string): boolean {
  return DEFAULT_RULES.some((rule) => rule.id === id)
}

/** A place of an organization's that is told by webhook; its secret is never part of it. */
export interface WebhookEndpoint {
  /** `whe_…` */
  readonly id: string
  readonly url: string
  readonly description: string
  readonly enabled: boolean
  /** Why the gateway has switched it off; null: it hasn't. */
  readonly disabledReason: string | null
  /** Until when deliveries carry the signature of the secret before as well; null: there is none. */
  readonly previousUntilMs: number | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export const DELIVERY_STATES = ['pending', 'delivered', 'failed', 'cancelled'] as const
/** `cancelled`: whom it was for is gone. */
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** One message to one endpoint or person, and how it went. */
export interface Delivery {
  /** `dlv_…` */
  readonly id: string
  readonly eventId: string
  readonly kind: EventKind
  readonly channel: 'email' | 'webhook'
  readonly endpointId: string | null
  readonly userId: string | null
  readonly state: DeliveryState
  /** Since it was made, or since it was sent again by hand. */
  readonly attempts: number
  /** Null: no further attempt will be made. */
  readonly nextAtMs: number | null
  readonly lastAttemptAtMs: number | null
  /** HTTP status of the last answer; null: there was none. */
  readonly status: number | null
  readonly error: string | null
  /** The beginning of the last answer's body. */
  readonly response: string | null
  readonly createdAtMs: number
}

/** What the vault binds an endpoint's secrets to. */
export function endpointContext(id: string): string {
  return `webhook-endpoint:${id}`
}
