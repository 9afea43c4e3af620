import type { AlertDeliveriesTable, AlertEventsTable, AlertRulesTable, WebhookEndpointsTable } from './alerts.ts'
import type { ApiKeysTable, RetiredSecretsTable } from './api-keys.ts'
import type { AuditLogTable } from './audit-log.ts'
import type {
  BillingAccountsTable,
  BillingInvoicesTable,
  BillingSubscriptionsTable,
  BillingTopUpsTable,
  StripeEventsTable,
} from './billing.ts'
import type { BudgetsTable, ProviderLimitsTable } from './budgets.ts'
import type { CallBodiesTable } from './call-bodies.ts'
import type { CallsTable } from './calls.ts'
import type { ConversationItemsTable, ConversationsTable } from './conversations.ts'
import type { IdempotencyKeysTable } from './idempotency.ts'
import type { JobRunsTable } from './job-runs.ts'
import type {
  CreditBalancesTable,
  LedgerEntriesTable,
  LedgerTransactionsTable,
  ModelMultipliersTable,
  ReratesTable,
} from './ledger.ts'
import type { AccessTokensTable, InvitationsTable, MembersTable } from './members.ts'
import type { OrganizationsTable, ProjectsTable } from './organizations.ts'
import type { AccountsTable, SessionsTable, TwoFactorsTable, UsersTable, VerificationsTable } from './people.ts'
import type { PlansTable } from './plans.ts'
import type { PricesTable } from './prices.ts'
import type { ProviderCredentialsTable } from './provider-credentials.ts'
import type { ProviderObjectsTable } from './provider-objects.ts'
import type { AdminCredentialsTable, ReconciliationRowsTable, ReconciliationsTable } from './reconcile.ts'
import type { ResponsesTable } from './responses.ts'
import type { SettingsTable } from './settings.ts'
import type { UsageDailyTable, UsageHourlyTable } from './usage-sums.ts'

/**
 * The tables as the migrations leave them. Read back, bigint is a number (reading one that a number can't hold is an
 * error), numeric is text, timestamps are Dates, jsonb is parsed, bytea is bytes: the same on both engines.
 */
export interface Schema {
  organizations: OrganizationsTable
  projects: ProjectsTable
  api_keys: ApiKeysTable
  plans: PlansTable
  prices: PricesTable
  calls: CallsTable
  call_bodies: CallBodiesTable
  usage_hourly: UsageHourlyTable
  usage_daily: UsageDailyTable
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
  job_runs: JobRunsTable
  admin_credentials: AdminCredentialsTable
  reconciliations: ReconciliationsTable
  reconciliation_rows: ReconciliationRowsTable
  ledger_transactions: LedgerTransactionsTable
  ledger_entries: LedgerEntriesTable
  credit_balances: CreditBalancesTable
  model_multipliers: ModelMultipliersTable
  rerates: ReratesTable
  idempotency_keys: IdempotencyKeysTable
  billing_accounts: BillingAccountsTable
  billing_subscriptions: BillingSubscriptionsTable
  billing_invoices: BillingInvoicesTable
  billing_top_ups: BillingTopUpsTable
  stripe_events: StripeEventsTable
  budgets: BudgetsTable
  provider_limits: ProviderLimitsTable
  alert_rules: AlertRulesTable
  alert_events: AlertEventsTable
  alert_deliveries: AlertDeliveriesTable
  webhook_endpoints: WebhookEndpointsTable
}
