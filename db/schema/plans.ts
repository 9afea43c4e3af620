import type { ColumnType } from 'kysely'
import type { Plan } from '../model/plans.ts'

/** A row is a whole plan. */
export interface PlansTable {
  id: string
  /** Read back as it was written: by another version, maybe. */
  content: ColumnType<unknown, Plan, Plan>
  created_at: Date
  updated_at: Date
}
