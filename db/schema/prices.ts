import type { ColumnType } from 'kysely'
import type { Price } from '../model/money.ts'

/** Never changed: a new price is a new row with a new id. */
export interface PricesTable {
  id: string
  provider: string
  model: string
  source: string
  content: ColumnType<Price, string, never>
  created_at: ColumnType<Date, never, never>
}
