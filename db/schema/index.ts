import type { ApiKeysTable } from './api-keys.ts'
import type { CallsTable } from './calls.ts'
import type { OrganizationsTable, ProjectsTable } from './organizations.ts'
import type { PricesTable } from './prices.ts'
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
  settings: SettingsTable
  provider_objects: ProviderObjectsTable
}
