import type { Role } from '../model/access.ts'

export interface MembersTable {
  organization_id: string
  user_id: string
  role: Role
  created_at: Date
}

export interface InvitationsTable {
  id: string
  organization_id: string
  /** Lower-case. */
  email: string
  role: Role
  /** Of the secret in the invitation's link. */
  secret_sha256: string
  /** A user's id. */
  invited_by: string
  created_at: Date
  expires_at: Date
  accepted_at: Date | null
  revoked_at: Date | null
}

/** Personal access tokens: a person's rights in one organization, cut down to scopes. */
export interface AccessTokensTable {
  id: string
  organization_id: string
  user_id: string
  name: string
  secret_sha256: string
  display_prefix: string
  scopes: string[]
  created_at: Date
  expires_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
}
