import type { Kysely } from 'kysely'
import type { Schema } from '../schema/index.ts'
import { type AuditLogStore, auditLogStore } from './audit-log.ts'
import { type BootstrapStore, bootstrapStore } from './bootstrap.ts'
import { type CallStore, callStore, type LoadCalls } from './calls.ts'
import { type InvitationStore, invitationStore } from './invitations.ts'
import { type KeyStore, keyStore } from './keys.ts'
import { type MemberStore, memberStore } from './members.ts'
import { type OrganizationStore, organizationStore } from './organizations.ts'
import { type PeopleStore, peopleStore } from './people.ts'
import { type PriceStore, priceStore } from './prices.ts'
import { type ProjectStore, projectStore } from './projects.ts'
import { type ProviderCredentialStore, providerCredentialStore } from './provider-credentials.ts'
import { type ProviderObjectStore, providerObjectStore } from './provider-objects.ts'
import { type SealedStore, sealedStore } from './sealed.ts'
import { type SettingStore, settingStore } from './settings.ts'
import { type TokenStore, tokenStore } from './tokens.ts'
import { type UsageStore, usageStore } from './usage.ts'

/** What the product asks of its database, a noun a store; every SQL statement of the product is behind one of them. */
export interface Stores {
  readonly auditLog: AuditLogStore
  readonly bootstrap: BootstrapStore
  readonly calls: CallStore
  readonly invitations: InvitationStore
  readonly keys: KeyStore
  readonly members: MemberStore
  readonly organizations: OrganizationStore
  readonly people: PeopleStore
  readonly prices: PriceStore
  readonly projects: ProjectStore
  readonly providerObjects: ProviderObjectStore
  readonly providerCredentials: ProviderCredentialStore
  readonly sealed: SealedStore
  readonly settings: SettingStore
  readonly tokens: TokenStore
  readonly usage: UsageStore
}

/** @param database an open one, as `openDatabase` answers it */
export function createStores(database: { readonly db: Kysely<Schema>; readonly loadCalls: LoadCalls | null }): Stores {
  const { db, loadCalls } = database
  return {
    auditLog: auditLogStore(db),
    bootstrap: bootstrapStore(db),
    calls: callStore(db, loadCalls),
    invitations: invitationStore(db),
    keys: keyStore(db),
    members: memberStore(db),
    organizations: organizationStore(db),
    people: peopleStore(db),
    prices: priceStore(db),
    projects: projectStore(db),
    providerObjects: providerObjectStore(db),
    providerCredentials: providerCredentialStore(db),
    sealed: sealedStore(db),
    settings: settingStore(db),
    tokens: tokenStore(db),
    usage: usageStore(db),
  }
}
