import type { ColumnType } from 'kysely'
import type { KeyKind } from '../model/ids.ts'
import type { KeySettings } from '../model/settings.ts'

export interface ApiKeysTable {
  id: string
  project_id: string
  organization_id: string
  name: string
  kind: KeyKind
  /** Lower-case hexadecimal SHA-256 of the whole secret; the secret itself is nowhere. */
  secret_sha256: string
  display_prefix: string
  expires_at: Date | null
  revoked_at: Date | null
  last_used_at: Date | null
  created_at: Date
  settings: ColumnType<Partial<KeySettings>, Partial<KeySettings> | undefined, Partial<KeySettings>>
  /** The user who made it, null: the start. */
  created_by: string | null
}

/** What a key's secret was before it was rotated. */
export interface RetiredSecretsTable {
  secret_sha256: string
  key_id: string
  expires_at: Date
}
