import { randomBytes } from 'node:crypto'
import { type AlertEvent, endpointContext, type QuotaEvent } from '../../db/model/alerts.ts'
import type { NewRule } from '../../db/stores/alerts.ts'
import { createVault } from '../../db/vault.ts'
import { newWebhookSecret } from '../../server/alerts/sign.ts'
import { type AlertsOptions, type OpenAlerts, openAlerts } from '../../server/alerts.ts'
import type { Log, Mail } from '../../server/deps.ts'
import { hostGuard } from '../../server/runtime/public-address.ts'
import { systemRandom } from '../../server/runtime/system.ts'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'
import type { Upstream } from '../../server/upstream.ts'
import { addOrganization, addPerson, changeIn, newId, type TestPerson } from '../db/control.ts'
import type { Engine, TestDatabase } from '../db/engines.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'

export const DAY_MS = 86_400_000
export const MASTER = 'the-master-secret-of-alert-tests-1'

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export type SentMail = Parameters<Mail['send']>[0]

/** A database with alerts on it; each `instance` is another process, or the same after a restart. */
export interface AlertsHouse {
  readonly on: TestDatabase
  readonly clock: HandClock
  readonly log: LogLine[]
  readonly mails: SentMail[]
  readonly upstream: Upstream
  readonly vault: ReturnType<typeof createVault>
  instance(options?: Partial<AlertsOptions>): OpenAlerts
  /** With its owner. */
  organization(name?: string): Promise<{ readonly id: string; readonly owner: TestPerson }>
  rule(organizationId: string, rule: Partial<NewRule> & Pick<NewRule, 'kind'>): Promise<string>
  endpoint(organizationId: string, url: string): Promise<{ readonly id: string; readonly secret: string }>
  events(organizationId: string | null): Promise<readonly FoundEvent[]>
  deliveries(organizationId: string | null): Promise<readonly FoundDelivery[]>
  close(): Promise<void>
}

export interface FoundEvent {
  readonly id: string
  readonly rule_id: string
  readonly identity: string
  readonly kind: string
  readonly mail: string | null
  readonly payload: string
}

export interface FoundDelivery {
  readonly id: string
  readonly channel: string
  readonly state: string
  readonly attempts: number
  readonly status: number | null
  readonly error: string | null
  readonly response: string | null
  readonly next_at: Date | null
}

export async function alertsHouse(engine: Engine): Promise<AlertsHouse> {
  const on = await engine.open()
  const { db } = on.database
  const clock = handClock(Date.UTC(2026, 10, 21, 12))
  const log: LogLine[] = []
  const mails: SentMail[] = []
  const write =
    (level: LogLine['level']) =>
    (message: string, fields: LogLine['fields'] = {}) =>
      void log.push({ level, message, fields })
  const catcher: Log = { info: write('info'), warn: write('warn'), error: write('error') }
  const vault = createVault([MASTER])
  const guard = hostGuard({ allowed: { hosts: [], ranges: [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }] } })
  const upstream = socketUpstream({ connectTimeoutMs: 2_000, guard })
  const opened: OpenAlerts[] = []

  return {
    ...{ on, clock, log, mails, upstream, vault },
    instance(options = {}) {
      const made = openAlerts({
        ...{ stores: on.stores, upstream, vault, clock, random: systemRandom(), log: catcher },
        mail: { send: async (mail) => void mails.push(mail) },
        publicUrl: () => 'http://gateway.test',
        ...options,
      })
      opened.push(made)
      return made
    },
    async organization(name = 'Acme') {
      const id = await addOrganization(db, name)
      return { id, owner: await addPerson(db, { [id]: 'owner' }) }
    },
    async rule(organizationId, rule) {
      const made = await on.stores.alerts.createRule(changeIn(organizationId), {
        ...{ id: newId('alr'), name: 'A rule', projectId: null, keyId: null, settings: {} },
        ...{ emailRole: 'admin', endpointIds: null, enabled: true },
        ...rule,
      })
      if (typeof made === 'string') throw new Error(made)
      return made.id
    },
    async endpoint(organizationId, url) {
      const id = newId('whe')
      const secret = newWebhookSecret({ bytes: (length) => randomBytes(length) })
      const sealed = vault.seal(secret, endpointContext(id))
      await on.stores.webhookEndpoints.create(changeIn(organizationId), { id, url, description: '', sealed })
      return { id, secret }
    },
    events: (organizationId) =>
      db
        .selectFrom('alert_events')
        .select(['id', 'rule_id', 'identity', 'kind', 'mail', 'payload'])
        .where('organization_id', organizationId === null ? 'is' : '=', organizationId)
        .orderBy('created_at')
        .orderBy('id')
        .execute(),
    deliveries: (organizationId) =>
      db
        .selectFrom('alert_deliveries')
        .select(['id', 'channel', 'state', 'attempts', 'status', 'error', 'response', 'next_at'])
        .where('organization_id', organizationId === null ? 'is' : '=', organizationId)
        .orderBy('channel')
        .orderBy('created_at')
        .orderBy('id')
        .execute(),
    async close() {
      for (const one of opened) await one.close()
      await upstream.close()
      await on.dispose()
    },
  }
}

export function quotaOf(organizationId: string, changes: Partial<QuotaEvent> = {}): QuotaEvent {
  return {
    ...{ kind: 'quota', organizationId, projectId: null, keyId: null, counter: `org:${organizationId}:requests:month` },
    ...{ what: 'requests', period: 'month', percent: 80, limit: 10_000, resetMs: Date.UTC(2026, 11, 1) },
    ...changes,
  }
}

/** One event of every kind that parts raise. */
export function everyEvent(organizationId: string): readonly AlertEvent[] {
  return [
    quotaOf(organizationId),
    quotaOf(organizationId, { kind: 'budget', what: 'spend', limit: 12_500_000_000 }),
    { kind: 'credits_low', organizationId, balancePico: 4_200_000_000_000 },
    { kind: 'payment_failed', organizationId, failures: 2 },
    { kind: 'provider_paused', organizationId, provider: 'openai', reason: 'It has cost 100 USD today' },
    { kind: 'provider_down', organizationId, provider: 'openai', reason: '3 failures in a row' },
    { kind: 'credential_refused', organizationId, provider: 'openai', credential: 'crd_1' },
    { kind: 'price_missing', organizationId, provider: 'openai', model: 'gpt-unheard-of' },
  ]
}
