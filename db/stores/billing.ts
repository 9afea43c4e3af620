import { type Kysely, type Selectable, sql } from 'kysely'
import type { Change, Scope } from '../model/access.ts'
import { givenBy, INVOICE_STATUSES, type RatedSubscription, type Subscription } from '../model/billing.ts'
import type { Plan } from '../model/plans.ts'
import type { BillingSubscriptionsTable } from '../schema/billing.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { setTerms } from './organizations.ts'

/** A right to say what Stripe was heard to say: of several the one that was given last counts. */
export interface BillingTicket {
  readonly organizationId: string
  readonly ticket: number
}

/** What a plan is decided by. */
export interface BillingTerms {
  readonly nowMs: number
  /** By their order, the smallest first. */
  readonly plans: readonly Pick<Plan, 'id'>[]
  /** Of the plan without a subscription. */
  readonly freePlan: string
  /** Who changes a plan, should it change. */
  readonly change: Change
}

/** An invoice as Stripe last told of it. */
export interface BilledInvoice {
  /** `in_…` */
  readonly id: string
  readonly subscriptionId: string | null
  readonly status: string
  /** By Stripe's count. */
  readonly attempts: number
}

export interface BillingAccount {
  /** `cus_…`, null: it has none any more. */
  readonly customerId: string | null
  readonly updatedAtMs: number
}

export interface BillingStore {
  /** Who it is at Stripe; null: nobody yet. */
  account(scope: Scope): Promise<BillingAccount | null>
  /** The organization of a customer; null: it is nobody's here. */
  ownerOf(customerId: string): Promise<string | null>
  /** Notes an organization's customer. @returns the one that counts: the first that was noted */
  setCustomer(change: Change & Scope, customerId: string): Promise<string>
  /** The customer is gone at Stripe. */
  forgetCustomer(customerId: string, nowMs: number): Promise<void>
  /** Begins to ask Stripe about a customer; null: it is no customer of ours. Ask after this, never before. */
  begin(customerId: string): Promise<BillingTicket | null>
  /**
   * Notes all subscriptions of a customer and puts the organization on the plan that they give, on every instance within
   * a second. What was asked with a ticket older than one already noted is thrown away: that one knew more.
   */
  putSubscriptions(ticket: BillingTicket, subscriptions: readonly Subscription[], terms: BillingTerms): Promise<void>
  /** Notes an invoice; of several words about one the furthest counts. */
  putInvoice(organizationId: string, invoice: BilledInvoice): Promise<void>
  /** Every one that was ever noted. */
  subscriptions(scope: Scope): Promise<readonly RatedSubscription[]>
  /** Organizations whose plan has to be decided again by now. */
  ending(nowMs: number): Promise<readonly string[]>
  /** Decides an organization's plan by what is known. */
  decide(organizationId: string, terms: BillingTerms): Promise<void>
}

export function billingStore(db: Kysely<Schema>): BillingStore {
  return {
    async account({ organizationId }) {
      const row = await db
        .selectFrom('billing_accounts')
        .select(['customer_id', 'updated_at'])
        .where('organization_id', '=', organizationId)
        .executeTakeFirst()
      return row === undefined ? null : { customerId: row.customer_id, updatedAtMs: row.updated_at.getTime() }
    },

    async ownerOf(customerId) {
      const row = await db
        .selectFrom('billing_accounts')
        .select('organization_id')
        .where('customer_id', '=', customerId)
        .executeTakeFirst()
      return row?.organization_id ?? null
    },

    setCustomer(change, customerId) {
      const { organizationId, atMs } = change
      return db.transaction().execute(async (trx) => {
        const at = new Date(atMs)
        await trx
          .insertInto('billing_accounts')
          .values({
            organization_id: organizationId,
            customer_id: null,
            plan: null,
            plan_ends_at: null,
            created_at: at,
            updated_at: at,
          })
          .onConflict((conflict) => conflict.column('organization_id').doNothing())
          .execute()
        const { customer_id } = await lock(trx, organizationId).executeTakeFirstOrThrow()
        if (customer_id !== null) return customer_id
        await trx
          .updateTable('billing_accounts')
          .set({ customer_id: customerId, updated_at: at })
          .where('organization_id', '=', organizationId)
          .execute()
        const after = { customer: customerId }
        await audit(trx, change, { type: 'billing_account', id: organizationId, before: null, after })
        return customerId
      })
    },

    async forgetCustomer(customerId, nowMs) {
      await db
        .updateTable('billing_accounts')
        .set({ customer_id: null, updated_at: new Date(nowMs) })
        .where('customer_id', '=', customerId)
        .execute()
    },

    async begin(customerId) {
      const row = await db
        .updateTable('billing_accounts')
        .set({ ticket: sql`ticket + 1` })
        .where('customer_id', '=', customerId)
        .returning(['organization_id', 'ticket'])
        .executeTakeFirst()
      return row === undefined ? null : { organizationId: row.organization_id, ticket: row.ticket }
    },

    putSubscriptions({ organizationId, ticket }, subscriptions, terms) {
      return db.transaction().execute(async (trx) => {
        const account = await lock(trx, organizationId).executeTakeFirst()
        if (account === undefined) return
        if (account.applied_ticket < ticket) await keep(trx, { organizationId, ticket }, subscriptions)
        // Invoices may have been noted since, whoever knew more of the subscriptions.
        await decideIn(trx, organizationId, terms)
      })
    },

    async putInvoice(organizationId, { id, subscriptionId, status, attempts }) {
      const rank = (column: string) =>
        sql`array_position(array[${sql.join(INVOICE_STATUSES)}]::text[], ${sql.ref(column)})`
      await db
        .insertInto('billing_invoices')
        .values({ id, organization_id: organizationId, subscription_id: subscriptionId, status, attempts })
        .onConflict((conflict) =>
          conflict.column('id').doUpdateSet({
            subscription_id: sql`coalesce(excluded.subscription_id, billing_invoices.subscription_id)`,
            status: sql`case when ${rank('excluded.status')} >= ${rank('billing_invoices.status')}
              then excluded.status else billing_invoices.status end`,
            attempts: sql`greatest(excluded.attempts, billing_invoices.attempts)`,
          }),
        )
        .execute()
    },

    subscriptions: ({ organizationId }) => subscriptionsOf(db, organizationId),

    async ending(nowMs) {
      const rows = await db
        .selectFrom('billing_accounts')
        .select('organization_id')
        .where('plan_ends_at', '<=', new Date(nowMs))
        .orderBy('plan_ends_at')
        .execute()
      return rows.map(({ organization_id }) => organization_id)
    },

    decide(organizationId, terms) {
      return db.transaction().execute(async (trx) => {
        const account = await lock(trx, organizationId).executeTakeFirst()
        if (account !== undefined) await decideIn(trx, organizationId, terms)
      })
    },
  }
}

async function keep(
  trx: Kysely<Schema>,
  { organizationId, ticket }: BillingTicket,
  subscriptions: readonly Subscription[],
): Promise<void> {
  await trx
    .updateTable('billing_accounts')
    .set({ applied_ticket: ticket })
    .where('organization_id', '=', organizationId)
    .execute()
  for (const one of subscriptions) {
    const { id, ...row } = rowOf(organizationId, one)
    await trx
      .insertInto('billing_subscriptions')
      .values({ id, ...row })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
      .execute()
  }
}

/** Until the transaction ends, nobody else decides about this organization. */
function lock(trx: Kysely<Schema>, organizationId: string) {
  return trx.selectFrom('billing_accounts').selectAll().where('organization_id', '=', organizationId).forUpdate()
}

/**
 * Puts an organization on the plan that its subscriptions give, or back where it would be without, and notes when to do so
 * again. What the operator gave it by hand stays, as long as its subscriptions give what they gave before.
 */
async function decideIn(trx: Kysely<Schema>, organizationId: string, terms: BillingTerms): Promise<void> {
  const { nowMs, plans, freePlan, change } = terms
  const before = await lock(trx, organizationId).executeTakeFirstOrThrow()
  const given = givenBy(await subscriptionsOf(trx, organizationId), plans, nowMs)
  const plan = given?.subscription.plan ?? null
  const endsAtMs = given?.decideAgainMs ?? null
  await trx
    .updateTable('billing_accounts')
    .set({ plan, plan_ends_at: endsAtMs === null ? null : new Date(endsAtMs), updated_at: new Date(nowMs) })
    .where('organization_id', '=', organizationId)
    .execute()
  if (plan === before.plan) return
  if (plan === null) {
    const now = await trx.selectFrom('organizations').select('plan').where('id', '=', organizationId).executeTakeFirst()
    // Somebody has put it on another plan since.
    if (now?.plan !== before.plan) return
  }
  await setTerms(trx, change, { id: organizationId, terms: { plan: plan ?? freePlan } })
}

/** With what has failed of each: by Stripe's count, or by what it told us, whichever is more. */
async function subscriptionsOf(db: Kysely<Schema>, organizationId: string): Promise<readonly RatedSubscription[]> {
  const rows = await db
    .selectFrom('billing_subscriptions as s')
    .selectAll('s')
    .select(
      sql<number>`(
        select coalesce(sum(greatest(i.attempts, (
          select count(*) from stripe_events as e where e.object_id = i.id and e.type = 'invoice.payment_failed'
        ))), 0)::int
        from billing_invoices as i
        where i.organization_id = s.organization_id and i.subscription_id = s.id and i.status in ('open', 'uncollectible')
          and exists (
            select from stripe_events as e where e.object_id = i.id and e.type = 'invoice.payment_failed'
          )
      )`.as('failures'),
    )
    .where('s.organization_id', '=', organizationId)
    .orderBy('s.created_at', 'desc')
    .orderBy('s.id', 'desc')
    .execute()
  return rows.map((row) => ({ ...subscriptionOf(row), failures: row.failures }))
}

function rowOf(organizationId: string, one: Subscription): Selectable<BillingSubscriptionsTable> {
  const { id, itemId, status, plan, period, periodEndMs, endsAtMs, endedUnpaid, createdAtMs } = one
  return {
    ...{ id, organization_id: organizationId, item_id: itemId, status, plan, period, ended_unpaid: endedUnpaid },
    period_end: periodEndMs === null ? null : new Date(periodEndMs),
    ends_at: endsAtMs === null ? null : new Date(endsAtMs),
    created_at: new Date(createdAtMs),
  }
}

function subscriptionOf(row: Selectable<BillingSubscriptionsTable>): Subscription {
  const { id, status, plan, period } = row
  return {
    ...{ id, status, plan, period, itemId: row.item_id, endedUnpaid: row.ended_unpaid },
    periodEndMs: row.period_end?.getTime() ?? null,
    endsAtMs: row.ends_at?.getTime() ?? null,
    createdAtMs: row.created_at.getTime(),
  }
}
