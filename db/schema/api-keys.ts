import type { KeyKind } from '../model/ids.ts'

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
}
