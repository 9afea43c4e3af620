import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { Role } from '../../db/model/access.ts'
import { endpointContext } from '../../db/model/alerts.ts'
import { callBodyContext } from '../../db/model/call-bodies.ts'
import { credentialContext } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import { planSchema } from '../../db/model/plans.ts'
import { adminCredentialContext, NO_FIGURES } from '../../db/model/reconcile.ts'
import type { Schema } from '../../db/schema/index.ts'
import { TOKEN_SCOPES, type TokenScope } from '../../server/console/access.ts'
import type { Person } from '../../server/deps.ts'
import { sha256 } from '../../server/directory.ts'
import { changeOf } from '../db/control.ts'
import type { As, ConsoleApp } from '../helpers/console.ts'

/** One organization with everybody and everything in it that a procedure could be about. */
export interface Stage {
  readonly house: ConsoleApp
  readonly organizationId: string
  readonly people: Readonly<Record<Role, { readonly person: Person; readonly as: As }>>
  /** A member that no caller is. */
  readonly spareUserId: string
  readonly projectId: string
  readonly keyId: string
  readonly key: As
  readonly tokenId: string
  readonly invitationId: string
  readonly credentialId: string
  /** Of the key: requests a day. */
  readonly budgetId: string
  /** Makes one; a platform may have only so many. */
  platformCredential(): Promise<string>
  /** Makes one and names it. */
  adminCredential(): Promise<string>
  /** Makes one and names it. */
  reconciliation(): Promise<string>
  /** Makes one and names it. */
  multiplier(): Promise<{ readonly provider: string; readonly model: string }>
  /** Makes one that nobody is on, and names it. */
  plan(): Promise<string>
  /** A rule of the organization's, which has fired. */
  alert(): Promise<StagedAlert>
  /** A call of the project with its bodies, and names it. */
  said(): Promise<string>
  /** An open invitation into some other organization. */
  invite(email: string): Promise<string>
  token(scopes: readonly TokenScope[], more?: { expiresAtMs?: number; revokedAtMs?: number }): Promise<As>
}

export interface StagedAlert {
  readonly ruleId: string
  readonly endpointId: string
  readonly eventId: string
  readonly deliveryId: string
}

export async function createStage(house: ConsoleApp): Promise<Stage> {
  const organizationId = await house.organization({ name: 'Staged' })
  const [viewer, member, admin, owner, otherOwner, spare] = [
    await house.signedIn(organizationId, 'viewer'),
    await house.signedIn(organizationId, 'member'),
    await house.signedIn(organizationId, 'admin'),
    await house.signedIn(organizationId, 'owner'),
    await house.signedIn(organizationId, 'owner'),
    await house.signedIn(organizationId, 'viewer'),
  ]
  const projectId = await house.project(organizationId)
  const key = await house.key(projectId)
  const personId = owner.person.id
  const token = await house.token({ organizationId, personId, scopes: ['organization:read'] })
  return {
    house,
    organizationId,
    people: { viewer, member, admin, owner },
    spareUserId: spare.person.id,
    projectId,
    keyId: key.id,
    key: key.as,
    tokenId: token.id,
    invitationId: (await invitation(house, { organizationId, email: 'a@example.com', invitedBy: personId })).id,
    credentialId: await credential(house, { organizationId, projectId }),
    budgetId: await budget(house, { organizationId, projectId, keyId: key.id }),
    platformCredential: () => credential(house, { organizationId: null, projectId: null }),
    adminCredential: () => adminCredential(house),
    reconciliation: () => reconciliation(house),
    async multiplier() {
      const rule = { provider: 'openai', model: `m-${randomBytes(6).toString('hex')}` }
      const row = { ...rule, multiplier: 12_000, updated_at: new Date() }
      await house.database.database.db.insertInto('model_multipliers').values(row).execute()
      return rule
    },
    async plan() {
      const id = newPlanId()
      const plan = planSchema.parse({ id, name: 'A plan', requestsPerMinute: 1, requestsPerMonth: 2, tokensPerDay: 3 })
      await house.control.stores.plans.create(changeOf(), plan)
      await house.control.plans.reload()
      return id
    },
    alert: () => alert(house, organizationId),
    said: () => said(house, { organizationId, projectId }),
    async invite(email) {
      const other = await house.organization()
      const invitedBy = otherOwner.person.id
      await house.join(other, invitedBy, 'owner')
      return (await invitation(house, { organizationId: other, email, invitedBy })).secret
    },
    async token(scopes, more = {}) {
      return (await house.token({ organizationId, personId, scopes, ...more })).as
    },
  }
}

export function newPlanId(): string {
  return `plan-${randomBytes(6).toString('hex')}`
}

/** All scopes but those of one noun. */
export function scopesWithout(scope: TokenScope): TokenScope[] {
  const noun = scope.slice(0, scope.indexOf(':') + 1)
  return TOKEN_SCOPES.filter((one) => !one.startsWith(noun))
}

interface NewInvitation {
  readonly organizationId: string
  readonly email: string
  readonly invitedBy: string
}

async function invitation({ database }: ConsoleApp, { organizationId, email, invitedBy }: NewInvitation) {
  const secret = `lgw_inv_${randomBytes(32).toString('base64url')}`
  const id = makeId('inv', Date.now(), randomBytes(16))
  const times = { created_at: new Date(), expires_at: new Date(Date.now() + 3_600_000) }
  await database.database.db
    .insertInto('invitations')
    .values({
      ...{ id, email, ...times, role: 'member', organization_id: organizationId, invited_by: invitedBy },
      ...{ secret_sha256: sha256(secret), accepted_at: null, revoked_at: null },
    })
    .execute()
  return { id, secret }
}

async function credential(
  { control, database }: ConsoleApp,
  of: { readonly organizationId: string | null; readonly projectId: string | null },
): Promise<string> {
  const id = makeId('crd', Date.now(), randomBytes(16))
  await database.database.db
    .insertInto('provider_credentials')
    .values({
      ...{ id, organization_id: of.organizationId, project_id: of.projectId, provider: 'openai', name: 'A key' },
      ...{ sealed: control.vault.seal('sk-staged-0123456789', credentialContext(id)), hint: '6789', weight: 1 },
      ...{ base_url: null, version: null, checked_at: null, check_result: null },
      ...{ created_at: new Date(), updated_at: new Date() },
    })
    .execute()
  return id
}

async function budget(
  { database }: ConsoleApp,
  of: { readonly organizationId: string; readonly projectId: string; readonly keyId: string },
): Promise<string> {
  const id = makeId('bud', Date.now(), randomBytes(16))
  await database.database.db
    .insertInto('budgets')
    .values({
      ...{ id, organization_id: of.organizationId, project_id: of.projectId, key_id: of.keyId, what: 'requests' },
      ...{ period: 'day', anchor_at: null, amount: 1_000, hard: true, generation: 0, created_by: null },
      ...{ created_at: new Date(), updated_at: new Date() },
    })
    .execute()
  return id
}

async function alert({ control, database }: ConsoleApp, organization_id: string): Promise<StagedAlert> {
  const { db } = database.database
  const newId = (prefix: 'alr' | 'whe' | 'evt' | 'dlv') => makeId(prefix, Date.now(), randomBytes(16))
  const [ruleId, endpointId, eventId, deliveryId] = [newId('alr'), newId('whe'), newId('evt'), newId('dlv')]
  const of = { organization_id, created_at: new Date() }
  const settings = { amountNano: 1_000_000_000, period: 'day' } as const
  await db
    .insertInto('alert_rules')
    .values({
      ...{ ...of, id: ruleId, name: 'Staged', kind: 'spend', project_id: null, key_id: null, settings },
      ...{ email_role: 'owner', endpoint_ids: [endpointId], enabled: true, updated_at: new Date() },
    })
    .execute()
  const sealed = control.vault.seal('whsec_c3RhZ2Vk', endpointContext(endpointId))
  await db
    .insertInto('webhook_endpoints')
    .values({
      ...{ ...of, id: endpointId, url: 'https://hooks.example.com/staged', description: '', sealed, enabled: true },
      ...{ previous_sealed: null, previous_until: null, disabled_reason: null, updated_at: new Date() },
    })
    .execute()
  const payload = '{"data":{"message":"A","advice":"B","rule":{"name":"Staged"},"organization":null,"facts":{}}}'
  await db
    .insertInto('alert_events')
    .values({
      ...{ ...of, id: eventId, rule_id: ruleId, rule_name: 'Staged', kind: 'spend', identity: eventId, payload },
      ...{ mail: null, mail_day: null, expires_at: null },
    })
    .execute()
  await db
    .insertInto('alert_deliveries')
    .values({
      ...{ ...of, id: deliveryId, event_id: eventId, channel: 'webhook', endpoint_id: endpointId, user_id: null },
      ...{ email_role: null, state: 'failed', next_at: null, claimed_until: null, last_attempt_at: null },
      ...{ status: 500, error: 'The endpoint answered 500', response: '' },
    })
    .execute()
  return { ruleId, endpointId, eventId, deliveryId }
}

async function said(
  { control }: ConsoleApp,
  of: { readonly organizationId: string; readonly projectId: string },
): Promise<string> {
  const createdAtMs = Date.now()
  const callId = makeId('req', createdAtMs, randomBytes(16))
  const side = (name: 'request' | 'answer') => ({
    ...{ contentType: 'application/json', bytes: 2, truncated: false, redacted: false },
    text: control.vault.seal('{}', callBodyContext(of.projectId, callId, name)),
  })
  await control.stores.callBodies.insertBatch([
    {
      ...{ ...of, callId, createdAtMs, expiresAtMs: createdAtMs + 3_600_000, endpoint: 'chat.completions' },
      ...{ model: 'gpt-4o', pinned: null, stream: false, request: side('request'), answer: side('answer') },
    },
  ])
  return callId
}

async function adminCredential({ control, database }: ConsoleApp): Promise<string> {
  const id = makeId('adk', Date.now(), randomBytes(16))
  await database.database.db
    .insertInto('admin_credentials')
    .values({
      ...{ id, provider: 'openai', name: 'An admin key', base_url: null, only_projects: [], hint: '6789' },
      ...{ sealed: control.vault.seal('sk-admin-staged-0123456789', adminCredentialContext(id)) },
      ...{ checked_at: null, check_result: null, created_at: new Date(), updated_at: new Date() },
    })
    .execute()
  return id
}

async function reconciliation({ control }: ConsoleApp): Promise<string> {
  const id = makeId('rec', Date.now(), randomBytes(16))
  const theirs = { ...NO_FIGURES, input: 5, costPico: 7n }
  const both = { ours: NO_FIGURES, theirs }
  const change = {
    atMs: Date.now(),
    auditId: makeId('aud', Date.now(), randomBytes(16)),
    requestId: null,
    address: null,
  }
  const actor = { kind: 'system', id: 'stage', name: 'Stage' } as const
  await control.stores.reconciliations.save({ ...change, actor, action: 'reconcile.run' }, [
    {
      ...{ id, provider: 'openai', day: '2026-01-01', createdAtMs: Date.now(), createdBy: 'stage', tolerancePpm: 0 },
      ...{ status: 'off', models: 1, modelsOff: 1, ...both, rows: [{ model: 'm', status: 'missing_ours', ...both }] },
    },
  ])
  return id
}

/** Rows of an organization in every table that a procedure may change, but for when something was last used. */
export async function contentOf({ database }: ConsoleApp, organizationId: string): Promise<string> {
  const { db } = database.database
  const parts = CONTENT.map(([table, where]) => {
    const row = sql`(to_jsonb(t) - 'last_used_at')::text`
    return sql`select ${sql.lit(table)} as table_name, count(*)::int as rows, md5(string_agg(${row}, ' ' order by ${row})) as hash
      from ${sql.table(table)} as t where ${where(organizationId)}`
  })
  const { rows } = await sql`${sql.join(parts, sql` union all `)}`.execute(db)
  return JSON.stringify(rows, null, 1)
}

type Where = (organizationId: string) => RawBuilder<unknown>
const ofIt: Where = (organizationId) => sql`t.organization_id = ${organizationId}`
const ofThePlatform: Where = () => sql`t.organization_id is null`
const all: Where = () => sql`true`

/** Tables with the rows that a call about one organization could change. */
const CONTENT: readonly (readonly [keyof Schema, Where])[] = [
  ['plans', all],
  ['organizations', (organizationId) => sql`t.id = ${organizationId}`],
  ['members', ofIt],
  ['invitations', ofIt],
  ['access_tokens', ofIt],
  ['projects', ofIt],
  ['api_keys', ofIt],
  ['provider_credentials', ofIt],
  ['provider_credentials', ofThePlatform],
  ['billing_accounts', ofIt],
  ['budgets', ofIt],
  ['call_bodies', ofIt],
  ['provider_limits', all],
  ['alert_rules', ofIt],
  ['webhook_endpoints', ofIt],
  ['alert_events', ofIt],
  ['alert_deliveries', ofIt],
  ['audit_log', ofIt],
  ['audit_log', ofThePlatform],
  ['ledger_transactions', ofIt],
  ['model_multipliers', () => sql`t.model not like 'm-%'`],
  ['rerates', all],
  ['admin_credentials', all],
  ['reconciliations', all],
]
