import type { ApiKeysTable, RetiredSecretsTable } from './api-keys.ts'
import type { AuditLogTable } from './audit-log.ts'
import type { CallsTable } from './calls.ts'
import type { ConversationItemsTable, ConversationsTable } from './conversations.ts'
import type { AccessTokensTable, InvitationsTable, MembersTable } from './members.ts'
import type { OrganizationsTable, ProjectsTable } from './organizations.ts'
import type { AccountsTable, SessionsTable, TwoFactorsTable, UsersTable, VerificationsTable } from './people.ts'
import type { PricesTable } from './prices.ts'
import type { ProviderCredentialsTable } from './provider-credentials.ts'
import type { ProviderObjectsTable } from './provider-objects.ts'
import type { ResponsesTable } from './responses.ts'
import type { SettingsTable } from './settings.ts'
import type { UsageHourlyTable } from './usage-hourly.ts'

/**
 * The tables as the migrations leave them. Read back, bigint is a number (reading one that a number can't hold is an
 * error), numeric is text, timestamps are Dates, jsonb is parsed, bytea is bytes: the same on both engines.
 */
export interface Schema {
  organizations: OrganizationsTable
  projects: ProjectsTable
  api_keys: ApiKeysTable
  prices: PricesTable
  calls: CallsTable
  usage_hourly: UsageHourlyTable
  responses: ResponsesTable
  conversations: ConversationsTable
  conversation_items: ConversationItemsTable
  settings: SettingsTable
  provider_objects: ProviderObjectsTable
  users: UsersTable
  sessions: SessionsTable
  accounts: AccountsTable
  verifications: VerificationsTable
  two_factors: TwoFactorsTable
  members: MembersTable
  invitations: InvitationsTable
  access_tokens: AccessTokensTable
  retired_secrets: RetiredSecretsTable
  provider_credentials: ProviderCredentialsTable
  audit_log: AuditLogTable
}
