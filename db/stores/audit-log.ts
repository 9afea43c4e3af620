import { type Kysely, sql } from 'kysely'
import type { Actor, Change, Scope } from '../model/access.ts'
import { firstIdAt } from '../model/ids.ts'
import type { Schema } from '../schema/index.ts'

export interface Target {
  /** Such as `project`. */
  readonly type: string
  readonly id: string
  /** What of it changed; null: it was not there. Never a secret. */
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
}

/** A change as it was written down. */
export interface AuditEntry extends Target {
  /** Of the entry. */
  readonly auditId: string
  /** Null: of the platform. */
  readonly organizationId: string | null
  readonly atMs: number
  readonly actor: Actor
  readonly action: string
  readonly requestId: string | null
  readonly address: string | null
}

/** Entries that fulfil all that is set. */
export interface AuditFilters {
  /** Id or name of who did it. */
  readonly actor?: string | null | undefined
  /** A procedure (`keys.rotate`) or a noun with all that is done to it (`keys`). */
  readonly action?: string | null | undefined
  /** Id or type of what was changed. */
  readonly target?: string | null | undefined
  /** Epoch milliseconds, inclusive. */
  readonly fromMs?: number | null | undefined
  /** Epoch milliseconds, exclusive. */
  readonly toMs?: number | null | undefined
}

/** Up to `limit` entries from the one after the entry `after` on, null: from the newest. */
export interface AuditPage extends AuditFilters {
  readonly limit: number
  readonly after: string | null
}

export interface AuditLogStore {
  /** Newest first. */
  list(scope: Scope, page: AuditPage): Promise<readonly AuditEntry[]>
  /** For what is done without changing anything in the database. */
  note(change: Change, target: Target): Promise<void>
  /** Of the platform and of all organizations, those too that are gone. @param page organizationId: only its own */
  listAll(page: AuditPage & { readonly organizationId?: string | null }): Promise<readonly AuditEntry[]>
}

export function auditLogStore(db: Kysely<Schema>): AuditLogStore {
  async function list(organizationId: string | null, page: AuditPage): Promise<readonly AuditEntry[]> {
    const { actor, action, target, fromMs, toMs } = page
    let query = db.selectFrom('audit_log').selectAll()
    if (organizationId !== null) query = query.where('organization_id', '=', organizationId)
    if (page.after !== null) query = query.where('id', '<', page.after)
    // Ids sort by the time of their entry: the one index serves order, pages and times.
    if (typeof fromMs === 'number') query = query.where('id', '>=', firstIdAt('aud', fromMs))
    if (typeof toMs === 'number') query = query.where('id', '<', firstIdAt('aud', toMs))
    if (typeof actor === 'string') {
      query = query.where((is) => is.or([is('actor_id', '=', actor), is('actor_name', '=', actor)]))
    }
    if (typeof action === 'string') {
      query = query.where((is) =>
        is.or([is('action', '=', action), sql<boolean>`starts_with(action, ${`${action}.`}::text)`]),
      )
    }
    if (typeof target === 'string') {
      query = query.where((is) => is.or([is('target_id', '=', target), is('target_type', '=', target)]))
    }
    const rows = await query.orderBy('id', 'desc').limit(page.limit).execute()
    return rows.map((row) => ({
      auditId: row.id,
      organizationId: row.organization_id,
      atMs: row.created_at.getTime(),
      actor: { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
      action: row.action,
      type: row.target_type,
      id: row.target_id,
      before: row.before,
      after: row.after,
      requestId: row.request_id,
      address: row.address,
    }))
  }

  return {
    list: ({ organizationId }, page) => list(organizationId, page),
    note: (change, target) => audit(db, change, target),
    listAll: ({ organizationId = null, ...page }) => list(organizationId, page),
  }
}

/**
 * Writes a change into the audit log. Called by every store that changes something, within the change's own
 * transaction: there is no change without its entry, and no entry without its change.
 */
export async function audit(trx: Kysely<Schema>, change: Change & Partial<Scope>, target: Target): Promise<void> {
  await trx
    .insertInto('audit_log')
    .values({
      id: change.auditId,
      organization_id: change.organizationId ?? null,
      created_at: new Date(change.atMs),
      actor_kind: change.actor.kind,
      actor_id: change.actor.id,
      actor_name: change.actor.name,
      action: change.action,
      target_type: target.type,
      target_id: target.id,
      before: target.before,
      after: target.after,
      request_id: change.requestId,
      address: change.address,
    })
    .execute()
}
