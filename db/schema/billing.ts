import type { Generated } from 'kysely'
import type { BillingPeriod } from '../model/billing.ts'

/** Who an organization is at Stripe, and what it has of it. */
export interface BillingAccountsTable {
  organization_id: string
  /** `cus_…`, null: not made yet, or gone. */
  customer_id: string | null
  /** The plan that a subscription gave, null: none does. */
  plan: string | null
  /** When to decide again though Stripe says nothing. */
  plan_ends_at: Date | null
  /** Given to whoever begins to ask Stripe, ever higher; what an older one heard never replaces what a newer one did. */
  ticket: Generated<number>
  applied_ticket: Generated<number>
  created_at: Date
  updated_at: Date
}

export interface BillingSubscriptionsTable {
  /** `sub_…` */
  id: string
  organization_id: string
  /** `si_…` of its plan. */
  item_id: string | null
  /** Stripe's word. */
  status: string
  plan: string | null
  period: BillingPeriod | null
  period_end: Date | null
  ends_at: Date | null
  ended_unpaid: boolean
  created_at: Date
}

export interface BillingInvoicesTable {
  /** `in_…` */
  id: string
  organization_id: string
  subscription_id: string | null
  /** Stripe's word. */
  status: string
  /** Payments of it that were tried. */
  attempts: number
}

export interface BillingTopUpsTable {
  /** `pi_…` */
  payment_intent: string
  organization_id: string
  paid_cents: Generated<number>
  /** Refunded, or taken back by the payer's bank. */
  taken_cents: Generated<number>
  posted_paid_cents: Generated<number>
  posted_taken_cents: Generated<number>
  /** Ledger transactions about it so far: they are numbered. */
  postings: Generated<number>
  /** What was taken and had been used already. */
  lost_pico: Generated<string>
  ticket: Generated<number>
  applied_ticket: Generated<number>
  created_at: Date
}

export interface StripeEventsTable {
  /** `evt_…` */
  id: string
  type: string
  /** Of what it tells of. */
  object_id: string | null
  created_at: Date
  received_at: Date
  /** As it was sent and signed; null: applied long ago. */
  payload: string | null
  attempts: Generated<number>
  /** Until then somebody works on it; null: it is done. */
  next_attempt_at: Date | null
  applied_at: Date | null
  /** What came of it. */
  outcome: string | null
  error: string | null
}
