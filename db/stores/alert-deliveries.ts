import type { Kysely, Selectable } from 'kysely'
import type { Scope, ScopedChange } from '../model/access.ts'
import type { Delivery, DeliveryState, EventKind } from '../model/alerts.ts'
import type { AlertDeliveriesTable } from '../schema/alerts.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import type { Page } from './members.ts'

export interface DeliveryFilters {
  readonly eventId?: string | null | undefined
  readonly endpointId?: string | null | undefined
  readonly state?: DeliveryState | null | undefined
}

/** What an organization was sent, and how that went. */
export interface AlertDeliveryStore {
  /** Newest first. */
  list(scope: Scope, page: Page & DeliveryFilters): Promise<readonly Delivery[]>
  /**
   * Sends it again at once, with all attempts before it; one that is being sent right now stays as it is.
   * @returns as it is now; `off`: its endpoint is switched off; null: there is none
   */
  redeliver(change: ScopedChange, id: string): Promise<Delivery | 'off' | null>
}

export function alertDeliveryStore(db: Kysely<Schema>): AlertDeliveryStore {
  const of = (trx: Kysely<Schema>, { organizationId }: Scope) =>
    trx
      .selectFrom('alert_deliveries as d')
      .innerJoin('alert_events as e', 'e.id', 'd.event_id')
      .selectAll('d')
      .select('e.kind')
      .where('d.organization_id', '=', organizationId)

  return {
    async list(scope, { limit, after, eventId, endpointId, state }) {
      let query = of(db, scope)
      if (after !== null) query = query.where('d.id', '<', after)
      if (typeof eventId === 'string') query = query.where('d.event_id', '=', eventId)
      if (typeof endpointId === 'string') query = query.where('d.endpoint_id', '=', endpointId)
      if (typeof state === 'string') query = query.where('d.state', '=', state)
      return (await query.orderBy('d.id', 'desc').limit(limit).execute()).map(shown)
    },

    redeliver(change, id) {
      return db.transaction().execute(async (trx) => {
        const row = await of(trx, change).where('d.id', '=', id).forUpdate('d').executeTakeFirst()
        if (row === undefined) return null
        if (row.endpoint_id !== null && !(await isOn(trx, row.endpoint_id))) return 'off'
        if (row.state === 'pending' && (row.claimed_until?.getTime() ?? 0) > change.atMs) return shown(row)
        const set = { state: 'pending', attempts: 0, next_at: new Date(change.atMs), claimed_until: null } as const
        await trx.updateTable('alert_deliveries').set(set).where('id', '=', id).execute()
        const before = { state: row.state, attempts: row.attempts }
        await audit(trx, change, { type: 'alert_delivery', id, before, after: { state: 'pending', attempts: 0 } })
        return shown({ ...row, ...set })
      })
    },
  }
}

async function isOn(trx: Kysely<Schema>, endpointId: string): Promise<boolean> {
  const query = trx.selectFrom('webhook_endpoints').select('enabled').where('id', '=', endpointId)
  return (await query.executeTakeFirst())?.enabled === true
}

function shown(row: Selectable<AlertDeliveriesTable> & { readonly kind: EventKind }): Delivery {
  return {
    id: row.id,
    eventId: row.event_id,
    kind: row.kind,
    channel: row.channel,
    endpointId: row.endpoint_id,
    userId: row.user_id,
    state: row.state,
    attempts: row.attempts,
    nextAtMs: row.next_at?.getTime() ?? null,
    lastAttemptAtMs: row.last_attempt_at?.getTime() ?? null,
    status: row.status,
    error: row.error,
    response: row.response,
    createdAtMs: row.created_at.getTime(),
  }
}
