import type { Kysely } from 'kysely'
import type { Change, Scope } from '../model/access.ts'
import type { Schema } from '../schema/index.ts'

export interface Target {
  /** Such as `project`. */
  readonly type: string
  readonly id: string
  /** What of it changed; null: it was not there. Never a secret. */
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
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
