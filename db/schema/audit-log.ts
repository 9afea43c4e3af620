import type { ColumnType } from 'kysely'
import type { ActorKind } from '../model/access.ts'

type Facts = ColumnType<Record<string, unknown> | null, Record<string, unknown> | string | null, never>

/** Every change of the control plane, written with it in one transaction. */
export interface AuditLogTable {
  id: string
  /** Null: of the platform. */
  organization_id: string | null
  created_at: Date
  actor_kind: ActorKind
  actor_id: string
  actor_name: string
  /** The procedure, such as `keys.rotate`. */
  action: string
  target_type: string
  target_id: string
  /** What of it changed; never a secret. */
  before: Facts
  after: Facts
  request_id: string | null
  address: string | null
}
