import type { ColumnType } from 'kysely'
import type { ProjectSettings } from '../model/settings.ts'

export interface OrganizationsTable {
  id: string
  name: string
  /** Id of a Plan. */
  plan: string
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
