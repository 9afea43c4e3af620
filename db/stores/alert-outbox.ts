import { type Kysely, sql, type Transaction } from 'kysely'
import { ROLES, type Role } from '../model/access.ts'
import { type AlertRule, type EventKind, MAX_EVENTS_A_DAY, MAX_RECIPIENTS, type RuleKind } from '../model/alerts.ts'
import type { Schema } from '../schema/index.ts'
import { ruleOf, rulesOf } from './alerts.ts'

const DAY_MS = 86_400_000

/** A rule that fires, and what of. */
export interface Firing {
  readonly eventId: string
  /** Null: those who run the installation are told. */
  readonly organizationId: string | null
  readonly rule: Pick<AlertRule, 'id' | 'name' | 'emailRole' | 'endpointIds'>
  readonly kind: EventKind
  /** Names what happened: the same again doesn't fire. */
  readonly identity: string
  readonly payload: string
  readonly atMs: number
  /** Until when it must stay known; null: for ever. */
  readonly expiresAtMs: number | null
  /** `none`: nothing can be mailed. `always`: even if the rule has sent its mail of the day, and not as that one. */
  readonly mail: 'none' | 'daily' | 'always'
  readonly newDeliveryId: () => string
}

/** `known`: it has fired before, here or elsewhere. `flooded`: the rule has fired MAX_EVENTS_A_DAY times that day. */
export type Fired = 'fired' | 'known' | 'flooded' | 'gone'

/** A delivery that this instance may attempt now, and no other until its claim ends. */
export interface Claimed {
  readonly id: string
  readonly eventId: string
  readonly payload: string
  /** This one counted. */
  readonly attempt: number
  readonly to:
    | {
        readonly channel: 'webhook'
        readonly endpointId: string
        readonly url: string
        readonly enabled: boolean
        /** Envelopes of the secrets to sign with, the newest first. */
        readonly sealed: readonly string[]
      }
    | {
        readonly channel: 'email'
        /** Null: whom it was for is no longer somebody to tell. */
        readonly address: string | null
        /** Events that were held back since the rule's last mail. */
        readonly more: number
      }
}

export interface Attempted {
  readonly state: 'pending' | 'delivered' | 'failed' | 'cancelled'
  /** When pending. */
  readonly nextAtMs: number | null
  readonly status: number | null
  readonly error: string | null
  readonly response: string | null
}

/** Names for people. */
export interface Names {
  readonly organization: string
  readonly project: string | null
  readonly key: string | null
}

export interface OwnedRule {
  readonly organizationId: string
  readonly rule: AlertRule
}

/** What has to be told, kept until it is: for the gateway itself, which sees all organizations. */
export interface AlertOutboxStore {
  /** Those in force of an organization; without one, of all organizations what they have set themselves. */
  rulesFor(organizationId: string | null, kind: RuleKind): Promise<readonly OwnedRule[]>
  /** Null: there is no such organization. */
  names(of: {
    readonly organizationId: string
    readonly projectId: string | null
    readonly keyId: string | null
  }): Promise<Names | null>
  /**
   * Notes that a rule fired, with a delivery for each endpoint and each recipient, all or nothing. Of any number of
   * calls with the same identity, on whatever instances, one answers `fired`. A rule mails once a day (UTC): what comes
   * after is held back and counted in its next mail.
   */
  fire(firing: Firing): Promise<Fired>
  /** The delivery that is due longest, for this instance alone until `untilMs`; null: none is due. */
  claim(nowMs: number, untilMs: number): Promise<Claimed | null>
  /** How an attempt went; one whose claim has ended meanwhile changes nothing. */
  settle(claimed: Claimed, attempted: Attempted): Promise<void>
  /** Forgets what is over: old events with their deliveries, and secrets that sign no more. */
  sweep(nowMs: number): Promise<void>
}

/** Rules read at a time for what concerns everybody. */
const MOST_RULES = 1_000

export function alertOutboxStore(db: Kysely<Schema>): AlertOutboxStore {
  return {
    async rulesFor(organizationId, kind) {
      if (organizationId !== null) {
        const rules = await rulesOf(db, { organizationId }, kind)
        return rules.filter((rule) => rule.enabled).map((rule) => ({ organizationId, rule }))
      }
      const rows = await db
        .selectFrom('alert_rules')
        .selectAll()
        .where('kind', '=', kind)
        .where('enabled', '=', true)
        .orderBy('organization_id')
        .orderBy('id')
        .limit(MOST_RULES)
        .execute()
      return rows.map((row) => ({ organizationId: row.organization_id, rule: ruleOf(row) }))
    },

    async names({ organizationId, projectId, keyId }) {
      const row = await db
        .selectFrom('organizations as o')
        .leftJoin('projects as p', (join) => join.onRef('p.organization_id', '=', 'o.id').on('p.id', '=', projectId))
        .leftJoin('api_keys as k', (join) => join.onRef('k.project_id', '=', 'p.id').on('k.id', '=', keyId))
        .where('o.id', '=', organizationId)
        .select(['o.name as organization', 'p.name as project', 'k.name as key'])
        .executeTakeFirst()
      return row ?? null
    },

    fire: (firing) => db.transaction().execute((trx) => fire(trx, firing)),

    async claim(nowMs, untilMs) {
      const id = await take(db, nowMs, untilMs)
      return id === null ? null : claimed(db, id, nowMs)
    },

    async settle({ id, attempt }, { state, nextAtMs, status, error, response }) {
      const next_at = nextAtMs === null ? null : new Date(nextAtMs)
      await db
        .updateTable('alert_deliveries')
        .set({ state, next_at, claimed_until: null, status, error, response })
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .where('attempts', '=', attempt)
        .execute()
    },

    async sweep(nowMs) {
      const now = new Date(nowMs)
      await db.deleteFrom('alert_events').where('expires_at', '<=', now).execute()
      await db
        .updateTable('webhook_endpoints')
        .set({ previous_sealed: null, previous_until: null })
        .where('previous_until', '<=', now)
        .execute()
    },
  }
}

type Trx = Transaction<Schema>

/** The rule of an organization, or of nobody: as the indexes have it. */
function ofRule({ organizationId, rule }: Firing) {
  return sql<boolean>`coalesce(organization_id, '') = ${organizationId ?? ''} and rule_id = ${rule.id}`
}

async function fire(trx: Trx, firing: Firing): Promise<Fired> {
  const { eventId: id, organizationId, rule, kind, identity, payload, atMs, expiresAtMs } = firing
  // One at a time for a rule: two that look for the day's mail at once would both find none.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`alert:${organizationId ?? ''}:${rule.id}`}, 0))`.execute(
    trx,
  )
  if (organizationId !== null) {
    const found = await trx
      .selectFrom('organizations')
      .select('id')
      .where('id', '=', organizationId)
      .forKeyShare()
      .executeTakeFirst()
    if (found === undefined) return 'gone'
  }
  const known = await trx
    .selectFrom('alert_events')
    .select('id')
    .where(ofRule(firing))
    .where('identity', '=', identity)
    .executeTakeFirst()
  if (known !== undefined) return 'known'
  const today = trx
    .selectFrom('alert_events')
    .select('id')
    .where(ofRule(firing))
    .where('created_at', '>=', new Date(Math.floor(atMs / DAY_MS) * DAY_MS))
    .limit(MAX_EVENTS_A_DAY)
  if ((await today.execute()).length >= MAX_EVENTS_A_DAY) return 'flooded'
  const inserted = await trx
    .insertInto('alert_events')
    .values({
      ...{ id, organization_id: organizationId, rule_id: rule.id, rule_name: rule.name, kind, identity, payload },
      ...{ mail: null, mail_day: null, created_at: new Date(atMs) },
      expires_at: expiresAtMs === null ? null : new Date(expiresAtMs),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted === undefined) return 'known'
  await postMails(trx, firing)
  await postWebhooks(trx, firing)
  return 'fired'
}

async function postWebhooks(trx: Trx, firing: Firing): Promise<void> {
  const { organizationId, rule } = firing
  if (organizationId === null || rule.endpointIds?.length === 0) return
  let query = trx
    .selectFrom('webhook_endpoints')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('enabled', '=', true)
  if (rule.endpointIds !== null) query = query.where('id', 'in', [...rule.endpointIds])
  for (const { id } of await query.orderBy('id').execute()) {
    await post(trx, firing, { channel: 'webhook', endpoint_id: id, user_id: null, email_role: null })
  }
}

async function postMails(trx: Trx, firing: Firing): Promise<void> {
  const { eventId, organizationId, rule, atMs } = firing
  if (firing.mail === 'none' || (organizationId !== null && rule.emailRole === null)) return
  const recipients = await recipientsOf(trx, firing)
  if (recipients.length === 0) return
  const note = (set: { mail: 'sent' | 'held'; mail_day: number | null }) =>
    trx.updateTable('alert_events').set(set).where('id', '=', eventId).execute()
  let more = 0
  if (firing.mail === 'always') await note({ mail: 'sent', mail_day: null })
  else {
    const mail_day = Math.floor(atMs / DAY_MS)
    const sent = trx.selectFrom('alert_events').select('id').where(ofRule(firing)).where('mail_day', '=', mail_day)
    if ((await sent.limit(1).execute()).length > 0) return void (await note({ mail: 'held', mail_day: null }))
    const told = trx.updateTable('alert_events').set({ mail: 'told' }).where(ofRule(firing)).where('mail', '=', 'held')
    more = Number((await told.executeTakeFirst()).numUpdatedRows)
    await note({ mail: 'sent', mail_day })
  }
  const email_role = organizationId === null ? null : rule.emailRole
  for (const user_id of recipients) {
    await post(trx, firing, { channel: 'email', endpoint_id: null, user_id, email_role, more })
  }
}

interface Posted {
  readonly channel: 'email' | 'webhook'
  readonly endpoint_id: string | null
  readonly user_id: string | null
  readonly email_role: Role | null
  readonly more?: number
}

async function post(trx: Trx, { eventId, organizationId, atMs, newDeliveryId }: Firing, posted: Posted): Promise<void> {
  const at = new Date(atMs)
  const fresh = { claimed_until: null, last_attempt_at: null, status: null, error: null, response: null }
  await trx
    .insertInto('alert_deliveries')
    .values({
      ...{ id: newDeliveryId(), organization_id: organizationId, event_id: eventId, state: 'pending' },
      ...posted,
      ...fresh,
      ...{ next_at: at, created_at: at },
    })
    .execute()
}

/** Users' ids. Only addresses that were found to be theirs: what is said there is nobody else's business. */
async function recipientsOf(trx: Trx, { organizationId, rule }: Firing): Promise<readonly string[]> {
  if (organizationId === null) {
    const operators = trx
      .selectFrom('users')
      .select('id')
      .where('operator', '=', true)
      .where('email_verified', '=', true)
    return (await operators.orderBy('id').limit(MAX_RECIPIENTS).execute()).map(({ id }) => id)
  }
  const rows = await trx
    .selectFrom('members as m')
    .innerJoin('users as u', 'u.id', 'm.user_id')
    .select(['u.id', 'm.role'])
    .where('m.organization_id', '=', organizationId)
    .where('m.role', 'in', ROLES.slice(ROLES.indexOf(rule.emailRole ?? 'owner')))
    .where('u.email_verified', '=', true)
    .orderBy(sql`array_position(array['owner', 'admin', 'member', 'viewer'], m.role)`)
    .orderBy('u.id')
    .limit(MAX_RECIPIENTS)
    .execute()
  return rows.map(({ id }) => id)
}

/** What one organization may have under way: others mustn't wait for its slow endpoints. */
const AT_ONCE = 4

/** An endpoint gets one message after the other: one that is slow holds up its own only. */
async function take(db: Kysely<Schema>, nowMs: number, untilMs: number): Promise<string | null> {
  const now = sql`${new Date(nowMs)}::timestamptz`
  const { rows } = await sql<{ id: string }>`
    update alert_deliveries set claimed_until = ${new Date(untilMs)}::timestamptz, attempts = attempts + 1,
      last_attempt_at = ${now}
    where id = (
      select d.id from alert_deliveries as d
      where d.state = 'pending' and d.next_at <= ${now} and (d.claimed_until is null or d.claimed_until <= ${now})
        and not exists (
          select from alert_deliveries as busy where busy.endpoint_id = d.endpoint_id and busy.claimed_until > ${now}
        ) and (
          select count(*) from alert_deliveries as busy
          where busy.organization_id = d.organization_id and busy.claimed_until > ${now}
        ) < ${AT_ONCE}
      order by d.next_at, d.id limit 1 for update of d skip locked
    ) returning id`.execute(db)
  return rows[0]?.id ?? null
}

async function claimed(db: Kysely<Schema>, id: string, nowMs: number): Promise<Claimed | null> {
  const row = await db
    .selectFrom('alert_deliveries as d')
    .innerJoin('alert_events as e', 'e.id', 'd.event_id')
    .leftJoin('webhook_endpoints as w', 'w.id', 'd.endpoint_id')
    .leftJoin('users as u', 'u.id', 'd.user_id')
    .leftJoin('members as m', (join) =>
      join.onRef('m.user_id', '=', 'd.user_id').onRef('m.organization_id', '=', 'd.organization_id'),
    )
    .where('d.id', '=', id)
    .select(['d.id', 'd.event_id', 'd.organization_id', 'd.attempts', 'd.email_role', 'd.more', 'e.payload'])
    .select(['w.id as endpoint', 'w.url', 'w.enabled', 'w.sealed', 'w.previous_sealed', 'w.previous_until'])
    .select(['u.email', 'u.email_verified', 'u.operator', 'm.role'])
    .executeTakeFirst()
  if (row === undefined) return null
  const { event_id: eventId, payload, attempts: attempt, more, previous_sealed: previous } = row
  const common = { id, eventId, payload, attempt }
  if (row.endpoint === null) {
    const may = row.organization_id === null ? row.operator === true : reaches(row.role, row.email_role)
    return { ...common, to: { channel: 'email', address: may && row.email_verified ? row.email : null, more } }
  }
  const old = previous !== null && (row.previous_until?.getTime() ?? 0) > nowMs ? [previous] : []
  const { endpoint: endpointId, url, enabled, sealed } = row
  const to = {
    channel: 'webhook',
    endpointId,
    url: url!,
    enabled: enabled === true,
    sealed: [sealed!, ...old],
  } as const
  return { ...common, to }
}

function reaches(role: Role | null, needed: Role | null): boolean {
  return role !== null && needed !== null && ROLES.indexOf(role) >= ROLES.indexOf(needed)
}
