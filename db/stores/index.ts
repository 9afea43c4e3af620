import type { Kysely } from 'kysely'
import type { Schema } from '../schema/index.ts'
import { type AdminCredentialStore, adminCredentialStore } from './admin-credentials.ts'
import { type AlertDeliveryStore, alertDeliveryStore } from './alert-deliveries.ts'
import { type AlertOutboxStore, alertOutboxStore } from './alert-outbox.ts'
import { type AlertWatchStore, alertWatchStore } from './alert-watch.ts'
import { type AlertStore, alertStore } from './alerts.ts'
import { type AuditLogStore, auditLogStore } from './audit-log.ts'
import { type BillingStore, billingStore } from './billing.ts'
import { type BootstrapStore, bootstrapStore } from './bootstrap.ts'
import { type BudgetStore, budgetStore } from './budgets.ts'
import { type CallBodyStore, callBodyStore } from './call-bodies.ts'
import { type CallStore, callStore, type LoadCalls } from './calls.ts'
import { type InvitationStore, invitationStore } from './invitations.ts'
import { type JobRunStore, jobRunStore } from './job-runs.ts'
import { type KeyStore, keyStore } from './keys.ts'
import { type LedgerStore, ledgerStore } from './ledger.ts'
import { type MemberStore, memberStore } from './members.ts'
import { type MultiplierStore, multiplierStore } from './multipliers.ts'
import { type OrganizationStore, organizationStore } from './organizations.ts'
import { type PeopleStore, peopleStore } from './people.ts'
import { type PlanStore, planStore } from './plans.ts'
import { type PriceStore, priceStore } from './prices.ts'
import { type ProjectStore, projectStore } from './projects.ts'
import { type ProviderCredentialStore, providerCredentialStore } from './provider-credentials.ts'
import { type ProviderLimitStore, providerLimitStore } from './provider-limits.ts'
import { type ProviderObjectStore, providerObjectStore } from './provider-objects.ts'
import { type ReconciliationStore, reconciliationStore } from './reconciliations.ts'
import { type RerateStore, rerateStore } from './rerates.ts'
import { type SealedStore, sealedStore } from './sealed.ts'
import { type SettingStore, settingStore } from './settings.ts'
import { type StripeEventStore, stripeEventStore } from './stripe-events.ts'
import { type TokenStore, tokenStore } from './tokens.ts'
import { type TopUpStore, topUpStore } from './top-ups.ts'
import { type UsageStore, usageStore } from './usage.ts'
import { type UsageSeedStore, usageSeedStore } from './usage-seeds.ts'
import { type WebhookEndpointStore, webhookEndpointStore } from './webhook-endpoints.ts'

/** What the product asks of its database, a noun a store; every SQL statement of the product is behind one of them. */
export interface Stores {
  readonly alertDeliveries: AlertDeliveryStore
  readonly alertOutbox: AlertOutboxStore
  readonly alertWatch: AlertWatchStore
  readonly alerts: AlertStore
  readonly adminCredentials: AdminCredentialStore
  readonly auditLog: AuditLogStore
  readonly billing: BillingStore
  readonly bootstrap: BootstrapStore
  readonly budgets: BudgetStore
  readonly callBodies: CallBodyStore
  readonly calls: CallStore
  readonly invitations: InvitationStore
  readonly jobRuns: JobRunStore
  readonly keys: KeyStore
  readonly ledger: LedgerStore
  readonly members: MemberStore
  readonly multipliers: MultiplierStore
  readonly organizations: OrganizationStore
  readonly people: PeopleStore
  readonly plans: PlanStore
  readonly prices: PriceStore
  readonly projects: ProjectStore
  readonly providerLimits: ProviderLimitStore
  readonly providerObjects: ProviderObjectStore
  readonly providerCredentials: ProviderCredentialStore
  readonly rerates: RerateStore
  readonly reconciliations: ReconciliationStore
  readonly sealed: SealedStore
  readonly settings: SettingStore
  readonly stripeEvents: StripeEventStore
  readonly tokens: TokenStore
  readonly topUps: TopUpStore
  readonly usage: UsageStore
  readonly usageSeeds: UsageSeedStore
  readonly webhookEndpoints: WebhookEndpointStore
}

/** @param database an open one, as `openDatabase` answers it */
export function createStores(database: { readonly db: Kysely<Schema>; readonly loadCalls: LoadCalls | null }): Stores {
  const { db, loadCalls } = database
  return {
    alertDeliveries: alertDeliveryStore(db),
    alertOutbox: alertOutboxStore(db),
    alertWatch: alertWatchStore(db),
    alerts: alertStore(db),
    adminCredentials: adminCredentialStore(db),
    auditLog: auditLogStore(db),
    billing: billingStore(db),
    bootstrap: bootstrapStore(db),
    budgets: budgetStore(db),
    callBodies: callBodyStore(db),
    calls: callStore(db, loadCalls),
    invitations: invitationStore(db),
    jobRuns: jobRunStore(db),
    keys: keyStore(db),
    ledger: ledgerStore(db),
    members: memberStore(db),
    multipliers: multiplierStore(db),
    organizations: organizationStore(db),
    people: peopleStore(db),
    plans: planStore(db),
    prices: priceStore(db),
    projects: projectStore(db),
    providerLimits: providerLimitStore(db),
    providerObjects: providerObjectStore(db),
    providerCredentials: providerCredentialStore(db),
    rerates: rerateStore(db),
    reconciliations: reconciliationStore(db),
    sealed: sealedStore(db),
    settings: settingStore(db),
    stripeEvents: stripeEventStore(db),
    tokens: tokenStore(db),
    topUps: topUpStore(db),
    usage: usageStore(db),
    usageSeeds: usageSeedStore(db),
    webhookEndpoints: webhookEndpointStore(db),
  }
}
