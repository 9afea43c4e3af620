import { type Kysely, type Selectable, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import { PICO_PER_CENT } from '../model/billing.ts'
import { PICO_PER_NANO } from '../model/money.ts'
import type { BillingTopUpsTable } from '../schema/billing.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import type { BillingTicket } from './billing.ts'
import { balanceOf, holdBalance } from './ledger.ts'
import { creditsAccount, type Entry, type PostingKind, post } from './ledger-posting.ts'

/** A payment for credits as Stripe last told of it. US cents. */
export interface PaidTopUp {
  /** `pi_…` */
  readonly paymentIntent: string
  readonly paidCents: number
  /** Refunded to the payer, or taken back by their bank. */
  readonly takenCents: number
  /** What the line says is spent of the organization's credits, calls under way included; nano-dollars. */
  readonly spentNano: number
}

/** What a word about a payment did. Pico-dollars. */
export interface TopUpEffect {
  /** What came to the credits, or left them. */
  readonly creditedPico: bigint
  /** What had to be given back and was spent already. */
  readonly lostPico: bigint
}

export interface NewPosting {
  /** `txn_…` */
  readonly id: string
  readonly change: Change
}

export interface TopUpStore {
  /** The organization that a payment was noted for; null: it wasn't noted. */
  ownerOf(paymentIntent: string): Promise<string | null>
  /** Begins to ask Stripe about a payment. Ask after this, never before. */
  begin(payment: {
    readonly paymentIntent: string
    readonly organizationId: string
    readonly nowMs: number
  }): Promise<BillingTicket>
  /**
   * Brings the ledger to what Stripe says: posts what is new of it, once, whoever tells it how often and in whatever order.
   * Credits are never taken below zero: what was spent already is told apart, as lost.
   * @param newPosting makes what a posting needs; called for each
   */
  put(ticket: BillingTicket, paid: PaidTopUp, newPosting: () => NewPosting): Promise<TopUpEffect>
}

const NONE: TopUpEffect = { creditedPico: 0n, lostPico: 0n }

export function topUpStore(db: Kysely<Schema>): TopUpStore {
  return {
    async ownerOf(paymentIntent) {
      const row = await db
        .selectFrom('billing_top_ups')
        .select('organization_id')
        .where('payment_intent', '=', paymentIntent)
        .executeTakeFirst()
      return row?.organization_id ?? null
    },

    async begin({ paymentIntent, organizationId, nowMs }) {
      const row = await db
        .insertInto('billing_top_ups')
        .values({
          payment_intent: paymentIntent,
          organization_id: organizationId,
          ticket: 1,
          created_at: new Date(nowMs),
        })
        .onConflict((conflict) =>
          conflict.column('payment_intent').doUpdateSet({ ticket: sql`billing_top_ups.ticket + 1` }),
        )
        .returning(['organization_id', 'ticket'])
        .executeTakeFirstOrThrow()
      return { organizationId: row.organization_id, ticket: row.ticket }
    },

    put({ ticket }, paid, newPosting) {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .selectFrom('billing_top_ups')
          .selectAll()
          .where('payment_intent', '=', paid.paymentIntent)
          .forUpdate()
          .executeTakeFirstOrThrow()
        if (row.applied_ticket > ticket) return NONE
        const paidCents = Math.max(row.paid_cents, paid.paidCents)
        const takenCents = Math.min(paid.takenCents, paidCents)
        const books = ledgerOf(trx, row, newPosting)
        const came = await books.paid(paidCents - row.posted_paid_cents)
        const went = await books.taken(takenCents - row.posted_taken_cents, paid.spentNano)
        await trx
          .updateTable('billing_top_ups')
          .set({
            applied_ticket: ticket,
            paid_cents: paidCents,
            taken_cents: paid.takenCents,
            posted_paid_cents: paidCents,
            posted_taken_cents: takenCents,
            postings: books.postings(),
            lost_pico: (BigInt(row.lost_pico) + went.lostPico).toString(),
          })
          .where('payment_intent', '=', paid.paymentIntent)
          .execute()
        return { creditedPico: came + went.creditedPico, lostPico: went.lostPico }
      })
    },
  }
}

function ledgerOf(trx: Kysely<Schema>, row: Selectable<BillingTopUpsTable>, newPosting: () => NewPosting) {
  const { organization_id: organizationId, payment_intent } = row
  let postings = row.postings

  async function posted(kind: PostingKind, note: string, entries: readonly Entry[]): Promise<void> {
    const { id, change } = newPosting()
    const reference = postings === 0 ? `stripe:${payment_intent}` : `stripe:${payment_intent}:${postings}`
    postings += 1
    const isNew = await post(trx, { id, kind, organizationId, atMs: change.atMs, reference, note, entries })
    if (!isNew) throw new Error(`The ledger knows ${reference} already, and the top-up does not`)
    const after = { kind, reference, entries: entries.map((one) => [one.account, one.amountPico.toString()]) }
    await audit(trx, { ...change, organizationId }, { type: 'top_up', id: payment_intent, before: null, after })
  }

  const credits = creditsAccount(organizationId)

  return {
    postings: () => postings,

    /** @returns what came to the credits */
    async paid(cents: number): Promise<bigint> {
      if (cents <= 0) return 0n
      const amountPico = BigInt(cents) * PICO_PER_CENT
      await posted('top_up', 'Paid by Stripe', entriesOf([credits, amountPico], ['stripe', -amountPico]))
      return amountPico
    },

    /** @param cents below zero: what was taken came back */
    async taken(cents: number, spentNano: number): Promise<TopUpEffect> {
      const amountPico = BigInt(cents) * PICO_PER_CENT
      if (amountPico === 0n) return NONE
      if (amountPico < 0n) {
        const lost = BigInt(row.lost_pico)
        const found = lost < -amountPico ? lost : -amountPico
        const back = -amountPico - found
        const entries = entriesOf([credits, back], ['corrections', found], ['stripe', amountPico])
        await posted('refund', 'What was paid back, or disputed, came in again', entries)
        return { creditedPico: back, lostPico: -found }
      }
      await holdBalance(trx, organizationId)
      const { grantedPico, spentPico } = await balanceOf(trx, organizationId)
      const spent = larger(spentPico, BigInt(spentNano) * BigInt(PICO_PER_NANO))
      const left = larger(grantedPico - spent, 0n)
      const there = left < amountPico ? left : amountPico
      const lostPico = amountPico - there
      const entries = entriesOf([credits, -there], ['corrections', -lostPico], ['stripe', amountPico])
      await posted('refund', lostPico === 0n ? 'Paid back' : 'Paid back; a part of it was spent already', entries)
      return { creditedPico: -there, lostPico }
    },
  }
}

/** Accounts of which nothing changes are no entries. */
function entriesOf(...all: readonly (readonly [account: string, amountPico: bigint])[]): readonly Entry[] {
  return all.filter(([, amountPico]) => amountPico !== 0n).map(([account, amountPico]) => ({ account, amountPico }))
}

function larger(one: bigint, other: bigint): bigint {
  return one > other ? one : other
}
