/** better-auth's tables; see db/migrations/0004-people.ts. */
export interface UsersTable {
  id: string
  name: string
  /** Lower-case. */
  email: string
  email_verified: boolean
  image: string | null
  two_factor_enabled: boolean
  /** Runs this installation: sees to the platform's own accounts, plans and organizations. */
  operator: boolean
  created_at: Date
  updated_at: Date
}

export interface SessionsTable {
  id: string
  token: string
  user_id: string
  ip_address: string | null
  user_agent: string | null
  expires_at: Date
  created_at: Date
  updated_at: Date
}

export interface AccountsTable {
  id: string
  user_id: string
  account_id: string
  provider_id: string
  access_token: string | null
  refresh_token: string | null
  id_token: string | null
  access_token_expires_at: Date | null
  refresh_token_expires_at: Date | null
  scope: string | null
  /** Hash. */
  password: string | null
  created_at: Date
  updated_at: Date
}

export interface VerificationsTable {
  id: string
  identifier: string
  value: string
  expires_at: Date
  created_at: Date
  updated_at: Date
}

export interface TwoFactorsTable {
  id: string
  user_id: string
  secret: string
  backup_codes: string
  verified: boolean | null
  failed_verification_count: number | null
  locked_until: Date | null
}
