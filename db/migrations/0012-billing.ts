import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0012-billing'

const ID = 'text collate "C"'

/** Subscriptions and what Stripe told us. */
const STATEMENTS: readonly string[] = [
  // No foreign keys to organizations: what was paid, and by whom, stays told when they are gone.
  `create table billing_accounts (
    organization_id ${ID} primary key,
    customer_id ${ID} unique,
    plan text,
    plan_ends_at timestamptz,
    ticket bigint not null default 0,
    applied_ticket bigint not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  'create index billing_accounts_by_end on billing_accounts (plan_ends_at) where plan_ends_at is not null',
  `create table billing_subscriptions (
    id ${ID} primary key,
    organization_id ${ID} not null,
    item_id ${ID},
    status text not null,
    plan text,
    period text check (period in ('monthly', 'yearly')),
    period_end timestamptz,
    ends_at timestamptz,
    ended_unpaid boolean not null,
    created_at timestamptz not null
  )`,
  'create index billing_subscriptions_by_organization on billing_subscriptions (organization_id)',
  // What counts failed payments; what invoices say else is asked of Stripe.
  `create table billing_invoices (
    id ${ID} primary key,
    organization_id ${ID} not null,
    subscription_id ${ID},
    status text not null,
    attempts int not null
  )`,
  'create index billing_invoices_by_organization on billing_invoices (organization_id)',
  // A payment for credits: what Stripe says of it, and what of that is in the ledger. US cents.
  `create table billing_top_ups (
    payment_intent ${ID} primary key,
    organization_id ${ID} not null,
    paid_cents bigint not null default 0,
    taken_cents bigint not null default 0,
    posted_paid_cents bigint not null default 0,
    posted_taken_cents bigint not null default 0,
    postings int not null default 0,
    lost_pico numeric(40) not null default 0,
    ticket bigint not null default 0,
    applied_ticket bigint not null default 0,
    created_at timestamptz not null
  )`,
  'create index billing_top_ups_by_organization on billing_top_ups (organization_id)',
  `create table stripe_events (
    id ${ID} primary key,
    type text not null,
    object_id ${ID},
    created_at timestamptz not null,
    received_at timestamptz not null,
    payload text,
    attempts int not null default 0,
    next_attempt_at timestamptz,
    applied_at timestamptz,
    outcome text,
    error text
  )`,
  'create index stripe_events_due on stripe_events (next_attempt_at) where applied_at is null',
  'create index stripe_events_by_object on stripe_events (object_id, type)',
  'create index stripe_events_by_payload_age on stripe_events (received_at) where payload is not null',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
