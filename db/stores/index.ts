import type { Kysely } from 'kysely'
import type { Schema } from '../schema/index.ts'
import { type BootstrapStore, bootstrapStore } from './bootstrap.ts'
import { type CallStore, callStore, type LoadCalls } from './calls.ts'
import { type KeyStore, keyStore } from './keys.ts'
import { type PriceStore, priceStore } from './prices.ts'
import { type ProviderObjectStore, providerObjectStore } from './provider-objects.ts'
import { type SettingStore, settingStore } from './settings.ts'

/** What the product asks of its database, a noun a store; every SQL statement of the product is behind one of them. */
export interface Stores {
  readonly bootstrap: BootstrapStore
  readonly calls: CallStore
  readonly keys: KeyStore
  readonly prices: PriceStore
  readonly providerObjects: ProviderObjectStore
  readonly settings: SettingStore
}

/** @param database an open one, as `openDatabase` answers it */
export function createStores(database: { readonly db: Kysely<Schema>; readonly loadCalls: LoadCalls | null }): Stores {
  const { db, loadCalls } = database
  return {
    bootstrap: bootstrapStore(db),
    calls: callStore(db, loadCalls),
    keys: keyStore(db),
    prices: priceStore(db),
    providerObjects: providerObjectStore(db),
    settings: settingStore(db),
  }
}
