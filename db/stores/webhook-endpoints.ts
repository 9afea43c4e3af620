import { type Kysely, type Selectable, sql } from 'kysely'
import type { Change, Scope, ScopedChange } from '../model/access.ts'
import { MAX_ENDPOINTS, type WebhookEndpoint } from '../model/alerts.ts'
import type { WebhookEndpointsTable } from '../schema/alerts.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { holdOrganization } from './members.ts'

export interface NewEndpoint {
  readonly id: string
  readonly url: string
  readonly description: string
  /** The secret's envelope. */
  readonly sealed: string
}

/** Absent members stay as they are. */
export interface EndpointEdit {
  readonly url?: string
  readonly description?: string
  readonly enabled?: boolean
}

/** Where organizations are told by webhook. Secrets are sealed before they come here, and never listed. */
export interface WebhookEndpointStore {
  /** The oldest first. */
  list(scope: Scope): Promise<readonly WebhookEndpoint[]>
  find(scope: Scope, id: string): Promise<WebhookEndpoint | null>
  /** `full`: there are MAX_ENDPOINTS already. */
  create(change: ScopedChange, endpoint: NewEndpoint): Promise<WebhookEndpoint | 'full'>
  /** Switching it on takes back why it was switched off. @returns as it is now, null when there is none */
  update(change: ScopedChange, id: string, edit: EndpointEdit): Promise<WebhookEndpoint | null>
  /**
   * Gives it a new secret. The one before signs as well until `previousUntilMs`; what was before that one, no more.
   * @returns as it is now, null when there is none
   */
  rotate(
    change: ScopedChange,
    id: string,
    next: { readonly sealed: string; readonly previousUntilMs: number },
  ): Promise<WebhookEndpoint | null>
  /** With all its deliveries; rules forget it. @returns false when there was none */
  delete(change: ScopedChange, id: string): Promise<boolean>
  /** Its owner's server wants no more: nothing further is sent until somebody switches it on again. */
  disable(change: Change, id: string, reason: string): Promise<void>
}

type Row = Selectable<WebhookEndpointsTable>

export function webhookEndpointStore(db: Kysely<Schema>): WebhookEndpointStore {
  const of = (trx: Kysely<Schema>, { organizationId }: Scope) =>
    trx.selectFrom('webhook_endpoints').selectAll().where('organization_id', '=', organizationId).orderBy('id')

  return {
    list: async (scope) => (await of(db, scope).execute()).map(shown),

    async find(scope, id) {
      const row = await of(db, scope).where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : shown(row)
    },

    create(change, { id, url, description, sealed }) {
      return db.transaction().execute(async (trx) => {
        await holdOrganization(trx, change)
        if ((await of(trx, change).execute()).length >= MAX_ENDPOINTS) return 'full'
        const at = new Date(change.atMs)
        const row: Row = {
          ...{ id, organization_id: change.organizationId, url, description, sealed, enabled: true },
          ...{ previous_sealed: null, previous_until: null, disabled_reason: null, created_at: at, updated_at: at },
        }
        await trx.insertInto('webhook_endpoints').values(row).execute()
        await audit(trx, change, { type: 'webhook_endpoint', id, before: null, after: { url, description } })
        return shown(row)
      })
    },

    update(change, id, edit) {
      return db.transaction().execute(async (trx) => {
        const row = await of(trx, change).where('id', '=', id).forUpdate().executeTakeFirst()
        if (row === undefined) return null
        const { url, description, enabled } = { ...row, ...edit }
        const set = { url, description, enabled, ...(edit.enabled === true ? { disabled_reason: null } : {}) }
        const updated_at = new Date(change.atMs)
        await trx
          .updateTable('webhook_endpoints')
          .set({ ...set, updated_at })
          .where('id', '=', id)
          .execute()
        const before = { url: row.url, description: row.description, enabled: row.enabled }
        await audit(trx, change, { type: 'webhook_endpoint', id, before, after: { url, description, enabled } })
        return shown({ ...row, ...set, updated_at })
      })
    },

    rotate(change, id, { sealed, previousUntilMs }) {
      return db.transaction().execute(async (trx) => {
        const row = await of(trx, change).where('id', '=', id).forUpdate().executeTakeFirst()
        if (row === undefined) return null
        const stays = previousUntilMs > change.atMs
        const previous_until = stays ? new Date(previousUntilMs) : null
        const set = { sealed, previous_sealed: stays ? row.sealed : null, previous_until }
        const updated_at = new Date(change.atMs)
        await trx
          .updateTable('webhook_endpoints')
          .set({ ...set, updated_at })
          .where('id', '=', id)
          .execute()
        const after = { secret: 'changed', previous_until: previous_until?.toISOString() ?? null }
        await audit(trx, change, { type: 'webhook_endpoint', id, before: {}, after })
        return shown({ ...row, ...set, updated_at })
      })
    },

    delete(change, id) {
      return db.transaction().execute(async (trx) => {
        const { organizationId } = change
        const row = await trx
          .deleteFrom('webhook_endpoints')
          .where('organization_id', '=', organizationId)
          .where('id', '=', id)
          .returning(['url', 'description'])
          .executeTakeFirst()
        if (row === undefined) return false
        await sql`update alert_rules set endpoint_ids = array_remove(endpoint_ids, ${id}::text)
          where organization_id = ${organizationId} and ${id}::text = any (endpoint_ids)`.execute(trx)
        await audit(trx, change, { type: 'webhook_endpoint', id, before: row, after: null })
        return true
      })
    },

    disable(change, id, reason) {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .updateTable('webhook_endpoints')
          .set({ enabled: false, disabled_reason: reason, updated_at: new Date(change.atMs) })
          .where('id', '=', id)
          .where('enabled', '=', true)
          .returning('organization_id')
          .executeTakeFirst()
        await trx
          .updateTable('alert_deliveries')
          .set({ state: 'cancelled', next_at: null, claimed_until: null, error: reason })
          .where('endpoint_id', '=', id)
          .where('state', '=', 'pending')
          .execute()
        if (row === undefined) return
        const target = { type: 'webhook_endpoint', id, before: { enabled: true }, after: { enabled: false, reason } }
        await audit(trx, { ...change, organizationId: row.organization_id }, target)
      })
    },
  }
}

function shown(row: Row): WebhookEndpoint {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    enabled: row.enabled,
    disabledReason: row.disabled_reason,
    previousUntilMs: row.previous_until?.getTime() ?? null,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  }
}
