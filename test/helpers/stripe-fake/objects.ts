/** The objects of Stripe's that the fake has: of each the members that somebody could go by. Times are seconds. */

export type Metadata = Readonly<Record<string, string>>

export interface Customer {
  readonly id: string
  readonly object: 'customer'
  name: string | null
  email: string | null
  metadata: Metadata
  created: number
  livemode: false
}

export interface Product {
  readonly id: string
  readonly object: 'product'
  name: string
  active: boolean
  metadata: Metadata
  created: number
  livemode: false
}

export interface Price {
  readonly id: string
  readonly object: 'price'
  active: boolean
  billing_scheme: 'per_unit'
  currency: string
  lookup_key: string | null
  metadata: Metadata
  product: string
  recurring: { interval: 'month' | 'year'; interval_count: number; meter: null; usage_type: 'licensed' } | null
  type: 'recurring' | 'one_time'
  unit_amount: number
  created: number
  livemode: false
}

export interface Session {
  readonly id: string
  readonly object: 'checkout.session'
  mode: 'payment' | 'subscription'
  status: 'open' | 'complete' | 'expired'
  payment_status: 'unpaid' | 'paid'
  customer: string | null
  client_reference_id: string | null
  metadata: Metadata
  amount_total: number
  amount_subtotal: number
  currency: string
  payment_intent: string | null
  subscription: string | null
  success_url: string | null
  cancel_url: string | null
  url: string | null
  created: number
  livemode: false
}

export interface Item {
  readonly id: string
  readonly object: 'subscription_item'
  price: Price
  quantity: number
  subscription: string
  current_period_start: number
  current_period_end: number
  created: number
  metadata: Metadata
}

export interface Subscription {
  readonly id: string
  readonly object: 'subscription'
  status: 'active' | 'past_due' | 'canceled' | 'incomplete' | 'incomplete_expired' | 'trialing' | 'unpaid' | 'paused'
  customer: string
  metadata: Metadata
  items: { object: 'list'; data: Item[]; has_more: false; url: string }
  cancel_at: number | null
  cancel_at_period_end: boolean
  canceled_at: number | null
  ended_at: number | null
  cancellation_details: { comment: string | null; feedback: string | null; reason: string | null }
  latest_invoice: string | null
  currency: string
  created: number
  start_date: number
  livemode: false
}

export interface Invoice {
  readonly id: string
  readonly object: 'invoice'
  status: 'draft' | 'open' | 'paid' | 'uncollectible' | 'void'
  customer: string
  number: string | null
  currency: string
  total: number
  amount_due: number
  amount_paid: number
  attempt_count: number
  attempted: boolean
  billing_reason: string
  period_start: number
  period_end: number
  hosted_invoice_url: string | null
  invoice_pdf: string | null
  parent: { type: string; subscription_details: { subscription: string; metadata: Metadata } } | null
  created: number
  livemode: false
}

export interface Intent {
  readonly id: string
  readonly object: 'payment_intent'
  status: 'requires_payment_method' | 'processing' | 'succeeded' | 'canceled'
  amount: number
  amount_received: number
  currency: string
  customer: string | null
  latest_charge: string | null
  metadata: Metadata
  created: number
  livemode: false
}

export interface Charge {
  readonly id: string
  readonly object: 'charge'
  amount: number
  amount_refunded: number
  currency: string
  customer: string | null
  disputed: boolean
  payment_intent: string | null
  metadata: Metadata
  refunded: boolean
  status: string
  created: number
  livemode: false
}

export interface Refund {
  readonly id: string
  readonly object: 'refund'
  amount: number
  charge: string
  currency: string
  payment_intent: string
  status: string
  metadata: Metadata
  created: number
}

export interface Dispute {
  readonly id: string
  readonly object: 'dispute'
  amount: number
  charge: string
  currency: string
  payment_intent: string
  reason: string
  status: 'needs_response' | 'under_review' | 'won' | 'lost' | 'warning_needs_response'
  metadata: Metadata
  created: number
  livemode: false
}

export interface PortalConfiguration {
  readonly id: string
  readonly object: 'billing_portal.configuration'
  active: boolean
  is_default: boolean
  features: Readonly<Record<string, unknown>>
  metadata: Metadata
  created: number
  updated: number
  livemode: false
}

export interface PortalSession {
  readonly id: string
  readonly object: 'billing_portal.session'
  configuration: string
  customer: string
  return_url: string | null
  url: string
  /** What of it was asked for. */
  flow: Readonly<Record<string, unknown>> | null
  created: number
  livemode: false
}

export interface Event {
  readonly id: string
  readonly object: 'event'
  readonly type: string
  readonly created: number
  readonly data: { readonly object: Readonly<Record<string, unknown>> }
  readonly api_version: string
  readonly livemode: false
  readonly pending_webhooks: number
  readonly request: { readonly id: null; readonly idempotency_key: null }
}

export type Any =
  | Customer
  | Product
  | Price
  | Session
  | Subscription
  | Invoice
  | Intent
  | Charge
  | Refund
  | Dispute
  | PortalConfiguration
  | PortalSession
