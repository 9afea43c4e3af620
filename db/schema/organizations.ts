import type { ColumnType, Generated } from 'kysely'
import type { Pays } from '../model/plans.ts'
import type { ProjectSettings } from '../model/settings.ts'

export interface OrganizationsTable {
  id: string
  name: string
  /** Id of a Plan. */
  plan: string
  /** Default: `none`. */
  pays: Generated<Pays>
  /** What its calls cost of its credits against the list price: 10_000 is 1.0. */
  credit_multiplier: Generated<number>
  created_at: Date
}

export interface ProjectsTable {
  id: string
  organization_id: string
  name: string
  default_provider: string | null
  created_at: Date
  /** Its keys stop working at this time. */
  archived_at: Date | null
  settings: ColumnType<Partial<ProjectSettings>, Partial<ProjectSettings> | undefined, Partial<ProjectSettings>>
}
