import type { ColumnType } from 'kysely'
import type { Role } from '../model/access.ts'
import type { DeliveryState, EventKind, RuleKind, RuleSettings } from '../model/alerts.ts'

export interface AlertRulesTable {
  organization_id: string
  /** `alr_…`, or of a default that the organization has changed. */
  id: string
  name: string
  kind: RuleKind
  project_id: string | null
  key_id: string | null
  settings: RuleSettings
  email_role: Role | null
  endpoint_ids: string[] | null
  enabled: boolean
  created_at: Date
  updated_at: Date
}

export interface WebhookEndpointsTable {
  id: string
  organization_id: string
  url: string
  description: string
  /** Envelope of the vault. */
  sealed: string
  /** Of the secret before, which signs as well until then. */
  previous_sealed: string | null
  previous_until: Date | null
  enabled: boolean
  disabled_reason: string | null
  created_at: Date
  updated_at: Date
}

/** What fired. */
export interface AlertEventsTable {
  id: string
  /** Null: it is told to those who run the installation. */
  organization_id: string | null
  rule_id: string
  rule_name: string
  kind: EventKind
  /** Names what happened for its rule. */
  identity: string
  /** The webhook's body as it is signed. */
  payload: string
  /** `held`: there had been one that day; `told`: held, and counted in a later one. Null: the rule sends none. */
  mail: 'sent' | 'held' | 'told' | null
  /** Of a mail that was sent: days since the epoch. */
  mail_day: number | null
  created_at: Date
  /** Null: what happened can be told of again at any time, so that it must stay known. */
  expires_at: Date | null
}

export interface AlertDeliveriesTable {
  id: string
  organization_id: string | null
  event_id: string
  channel: 'email' | 'webhook'
  endpoint_id: string | null
  user_id: string | null
  /** What the recipient must still be; null with an e-mail: who runs the installation. */
  email_role: Role | null
  /** Events that this e-mail stands for beside its own. */
  more: ColumnType<number, number | undefined, number>
  state: DeliveryState
  attempts: ColumnType<number, number | undefined, number>
  next_at: Date | null
  /** Some instance is at it, until then at most. */
  claimed_until: Date | null
  last_attempt_at: Date | null
  status: number | null
  error: string | null
  response: string | null
  created_at: Date
}
