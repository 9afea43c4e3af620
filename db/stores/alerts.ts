import type { Kysely, Selectable } from 'kysely'
import type { Role, Scope, ScopedChange } from '../model/access.ts'
import {
  type AlertRule,
  DEFAULT_RULES,
  type EventKind,
  MAX_RULES,
  type RuleKind,
  type RuleSettings,
  withDefaults,
} from '../model/alerts.ts'
import type { AlertRulesTable } from '../schema/alerts.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { holdOrganization, type Page } from './members.ts'

/** Absent members stay as they are. */
export interface RuleEdit {
  readonly name?: string
  readonly settings?: RuleSettings
  readonly emailRole?: Role | null
  readonly endpointIds?: readonly string[] | null
  readonly enabled?: boolean
}

export type NewRule = Omit<AlertRule, 'updatedAtMs'>

/** `missing`: the project, key or an endpoint that it names isn't the organization's. `full`: there are MAX_RULES. */
export type RuleRefusal = 'missing' | 'full'

/** An event as it fired. */
export interface FiredEvent {
  readonly id: string
  readonly ruleId: string
  /** As it was then. */
  readonly ruleName: string
  readonly kind: EventKind
  /** JSON: what webhooks got. */
  readonly payload: string
  /** See AlertEventsTable. */
  readonly mail: 'sent' | 'held' | 'told' | null
  readonly createdAtMs: number
}

/** What organizations want to be told of, and what they were told of. */
export interface AlertStore {
  /** All rules in force, the defaults first; see `withDefaults`. */
  rules(scope: Scope): Promise<readonly AlertRule[]>
  createRule(change: ScopedChange, rule: NewRule): Promise<AlertRule | RuleRefusal>
  /** Of a default, too. @returns the rule as it is now, null when there is none */
  updateRule(change: ScopedChange, id: string, edit: RuleEdit): Promise<AlertRule | RuleRefusal | null>
  /** Of a default: what was changed of it, so that it is as it comes. @returns false when there is nothing to delete */
  deleteRule(change: ScopedChange, id: string): Promise<boolean>
  /** Newest first. */
  events(scope: Scope, page: Page & EventFilters): Promise<readonly FiredEvent[]>
}

export interface EventFilters {
  readonly ruleId?: string | null | undefined
  readonly kind?: EventKind | null | undefined
}

type Row = Selectable<AlertRulesTable>

export function alertStore(db: Kysely<Schema>): AlertStore {
  return {
    rules: (scope) => rulesOf(db, scope),

    createRule(change, rule) {
      return db.transaction().execute(async (trx) => {
        await holdOrganization(trx, change)
        const refusal = await refusalOf(trx, change, rule)
        if (refusal !== null) return refusal
        return insert(trx, change, { rule, before: null })
      })
    },

    updateRule(change, id, edit) {
      return db.transaction().execute(async (trx) => {
        await holdOrganization(trx, change)
        const row = await one(trx, change, id).executeTakeFirst()
        const now = row === undefined ? DEFAULT_RULES.find((rule) => rule.id === id) : ruleOf(row)
        if (now === undefined) return null
        const next: AlertRule = { ...now, ...edit }
        if (!(await hasEndpoints(trx, change, next.endpointIds))) return 'missing'
        if (row === undefined) return insert(trx, change, { rule: next, before: now })
        await trx
          .updateTable('alert_rules')
          .set(columnsOf(next, change.atMs))
          .where('organization_id', '=', change.organizationId)
          .where('id', '=', id)
          .execute()
        await audit(trx, change, { type: 'alert_rule', id, before: factsOf(now), after: factsOf(next) })
        return { ...next, updatedAtMs: change.atMs }
      })
    },

    deleteRule(change, id) {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .deleteFrom('alert_rules')
          .where('organization_id', '=', change.organizationId)
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirst()
        if (row === undefined) return false
        await audit(trx, change, { type: 'alert_rule', id, before: factsOf(ruleOf(row)), after: null })
        return true
      })
    },

    async events({ organizationId }, { limit, after, ruleId, kind }) {
      let query = db.selectFrom('alert_events').selectAll().where('organization_id', '=', organizationId)
      if (after !== null) query = query.where('id', '<', after)
      if (typeof ruleId === 'string') query = query.where('rule_id', '=', ruleId)
      if (typeof kind === 'string') query = query.where('kind', '=', kind)
      const rows = await query.orderBy('id', 'desc').limit(limit).execute()
      return rows.map((row) => ({
        id: row.id,
        ruleId: row.rule_id,
        ruleName: row.rule_name,
        kind: row.kind,
        payload: row.payload,
        mail: row.mail,
        createdAtMs: row.created_at.getTime(),
      }))
    },
  }
}

/** All rules of an organization that are in force, those switched off too. */
export async function rulesOf(
  db: Kysely<Schema>,
  { organizationId }: Pick<Scope, 'organizationId'>,
  kind: RuleKind | null = null,
): Promise<readonly AlertRule[]> {
  let query = db.selectFrom('alert_rules').selectAll().where('organization_id', '=', organizationId)
  if (kind !== null) query = query.where('kind', '=', kind)
  const rules = withDefaults((await query.orderBy('id').execute()).map(ruleOf))
  return kind === null ? rules : rules.filter((rule) => rule.kind === kind)
}

export function ruleOf(row: Row): AlertRule {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    projectId: row.project_id,
    keyId: row.key_id,
    settings: row.settings,
    emailRole: row.email_role,
    endpointIds: row.endpoint_ids,
    enabled: row.enabled,
    updatedAtMs: row.updated_at.getTime(),
  }
}

function one(trx: Kysely<Schema>, { organizationId }: Scope, id: string) {
  return trx
    .selectFrom('alert_rules')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .forUpdate()
}

async function refusalOf(trx: Kysely<Schema>, scope: Scope, rule: NewRule): Promise<RuleRefusal | null> {
  const { organizationId } = scope
  const { n } = await trx
    .selectFrom('alert_rules')
    .select(({ fn }) => fn.countAll<number>().as('n'))
    .where('organization_id', '=', organizationId)
    .executeTakeFirstOrThrow()
  if (n >= MAX_RULES) return 'full'
  if (rule.projectId !== null) {
    const project = await trx
      .selectFrom('projects')
      .select('id')
      .where('organization_id', '=', organizationId)
      .where('id', '=', rule.projectId)
      .executeTakeFirst()
    if (project === undefined) return 'missing'
  }
  if (rule.keyId !== null) {
    const key = await trx
      .selectFrom('api_keys')
      .select('id')
      .where('organization_id', '=', organizationId)
      .where('project_id', '=', rule.projectId ?? '')
      .where('id', '=', rule.keyId)
      .executeTakeFirst()
    if (key === undefined) return 'missing'
  }
  return (await hasEndpoints(trx, scope, rule.endpointIds)) ? null : 'missing'
}

async function hasEndpoints(
  trx: Kysely<Schema>,
  { organizationId }: Scope,
  ids: readonly string[] | null,
): Promise<boolean> {
  if (ids === null || ids.length === 0) return true
  const found = await trx
    .selectFrom('webhook_endpoints')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('id', 'in', [...ids])
    .execute()
  return found.length === new Set(ids).size
}

async function insert(
  trx: Kysely<Schema>,
  change: ScopedChange,
  { rule, before }: { readonly rule: NewRule; readonly before: AlertRule | null },
): Promise<AlertRule> {
  const { id, kind, projectId, keyId } = rule
  await trx
    .insertInto('alert_rules')
    .values({
      organization_id: change.organizationId,
      ...{ id, kind, project_id: projectId, key_id: keyId },
      ...columnsOf(rule, change.atMs),
      created_at: new Date(change.atMs),
    })
    .execute()
  const was = before === null ? null : factsOf(before)
  await audit(trx, change, { type: 'alert_rule', id, before: was, after: factsOf(rule) })
  return { ...rule, updatedAtMs: change.atMs }
}

function columnsOf({ name, settings, emailRole, endpointIds, enabled }: NewRule, atMs: number) {
  const endpoint_ids = endpointIds === null ? null : [...new Set(endpointIds)]
  return { name, settings, email_role: emailRole, endpoint_ids, enabled, updated_at: new Date(atMs) }
}

function factsOf({ name, kind, projectId, keyId, settings, emailRole, endpointIds, enabled }: NewRule) {
  const of = { project_id: projectId, key_id: keyId }
  return { name, kind, ...of, settings, email_role: emailRole, endpoint_ids: endpointIds, enabled }
}
