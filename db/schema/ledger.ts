import type { Generated } from 'kysely'

/** What was done with money, once and for good: the database refuses to change or delete it. */
export interface LedgerTransactionsTable {
  /** `txn_…` */
  id: string
  /** Of usage, when its last call began. */
  created_at: Date
  kind: 'usage' | 'top_up' | 'grant' | 'correction' | 'refund'
  organization_id: string
  /** Says what was posted: the same is posted once. */
  reference: string
  note: string | null
  /** How many there are of it. */
  entries: number
}

/** The entries of a transaction sum to zero. */
export interface LedgerEntriesTable {
  transaction_id: string
  /** `credits:org_…`: what we owe an organization; `revenue`, `stripe`, `grants`, `corrections`. */
  account: string
  /** Whole pico-dollars as text; for credits more is better for their owner. */
  amount_pico: string
}

/** What the entries of an organization's credits add up to. */
export interface CreditBalancesTable {
  organization_id: string
  /** All that isn't usage. Whole pico-dollars as text. */
  granted_pico: string
  /** Usage, as a positive number. */
  spent_pico: string
}

export interface ModelMultipliersTable {
  provider: string
  model: string
  multiplier: number
  updated_at: Date
}

/** Calls of one model that were charged again at another price. */
export interface ReratesTable {
  /** `rer_…` */
  id: string
  number: Generated<number>
  created_at: Date
  provider: string
  model: string
  from_at: Date
  to_at: Date
  price_id: string
  reason: string
}
