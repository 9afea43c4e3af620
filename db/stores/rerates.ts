import { type Kysely, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import type { Price } from '../model/money.ts'
import { type Rated, rate } from '../model/rerate.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { balanceOf, holdBalance } from './ledger.ts'
import { creditsAccount, post } from './ledger-posting.ts'
import { priceStore } from './prices.ts'
import { callPages, type RerateCall, type Span } from './rerate-calls.ts'

/** A price that should have been another. */
export interface Rerate extends Span {
  readonly price: Price
}

/** Sums over calls, at the prices that hold for them now and at the corrected one. Calls without a price cost 0. */
export interface RerateSums {
  calls: number
  /** Of them, those whose cost or charge is another. */
  changed: number
  costBeforePico: bigint
  costAfterPico: bigint
  chargedBeforePico: bigint
  chargedAfterPico: bigint
}

export interface RerateResult {
  /** By model, then by day. */
  readonly days: readonly (RerateSums & { readonly model: string; readonly dayMs: number })[]
  /** By id: all with such calls. */
  readonly organizations: readonly (RerateSums & { readonly organizationId: string })[]
}

export interface Correction {
  readonly organizationId: string
  /** What its credits get, or (below zero) pay. */
  readonly amountPico: bigint
  /** `overdrawn`: it doesn't have that much, and nothing was done. */
  readonly state: 'posted' | 'overdrawn'
}

export interface RerateItem {
  /** `rer_…` */
  readonly id: string
  readonly createdAtMs: number
  readonly provider: string
  readonly model: string
  readonly fromMs: number
  readonly toMs: number
  readonly priceId: string
  readonly reason: string
  /** Ledger transactions that it has posted, and what they gave to credits. */
  readonly corrections: number
  readonly amountPico: bigint
}

/**
 * Counters are never changed and prices have versions, so that calls can be charged again at another price. The calls
 * themselves stay as they were settled: the difference is posted to the ledger as corrections.
 */
export interface RerateStore {
  /** What would change. Reads page by page; nothing is held up by it and nothing is written. */
  preview(rerate: Rerate): Promise<RerateResult>
  /**
   * Posts what `preview` tells, one ledger transaction for each organization whose charges change. Posting the same again
   * does nothing, but for calls that have come into the database since.
   * @param options id: `rer_…`, if it is a new one; transactionId: makes a `txn_…`; force: even where less than nothing is
   *   left then
   */
  post(
    change: Change,
    rerate: Rerate,
    options: {
      readonly id: string
      readonly reason: string
      readonly force: boolean
      readonly transactionId: () => string
    },
  ): Promise<{ readonly id: string; readonly corrections: readonly Correction[] }>
  /** Newest first. */
  list(page: { readonly limit: number; readonly after: string | null }): Promise<readonly RerateItem[]>
}

interface PostedRerate extends Span {
  readonly id: string
  readonly number: number
  readonly price: Price
}

const DAY_MS = 86_400_000

export function rerateStore(db: Kysely<Schema>): RerateStore {
  /** Told of each call at the price that the latest of `posted` gives it, and at the corrected one. */
  async function compare(
    rerate: Rerate,
    posted: readonly PostedRerate[],
    tell: (call: RerateCall, before: Rated, after: Rated) => void,
  ): Promise<void> {
    for await (const calls of callPages(db, rerate)) {
      for (const call of calls) {
        const latest = posted.findLast((one) => covers(one, call))
        tell(call, rate(call, latest?.price ?? null), rate(call, rerate.price))
      }
    }
  }

  /** The one that stands last over the same time and models is this very one: its number; else it is noted as a new one. */
  function note(change: Change, rerate: Rerate, options: { readonly id: string; readonly reason: string }) {
    return db.transaction().execute(async (trx): Promise<PostedRerate> => {
      await sql`select pg_advisory_xact_lock(hashtextextended('rerates', 0))`.execute(trx)
      const latest = (await postedRerates(trx, rerate)).at(-1)
      if (latest !== undefined && isSame(latest, rerate)) return latest
      await priceStore(trx).ensure([rerate.price])
      const { provider, model, fromMs, toMs, price } = rerate
      const { id, reason } = options
      const { number } = await trx
        .insertInto('rerates')
        .values({
          id,
          created_at: new Date(change.atMs),
          provider,
          model,
          from_at: new Date(fromMs),
          to_at: new Date(toMs),
          price_id: price.id,
          reason,
        })
        .returning('number')
        .executeTakeFirstOrThrow()
      const after = { provider, model, from: iso(fromMs), to: iso(toMs), price, reason }
      await audit(trx, change, { type: 'rerate', id, before: null, after })
      return { ...rerate, id, number }
    })
  }

  async function correct(
    change: Change,
    rerate: PostedRerate,
    wish: {
      readonly organizationId: string
      readonly calls: number
      readonly duePico: bigint
      readonly force: boolean
      readonly transactionId: () => string
    },
  ): Promise<Correction | null> {
    const { organizationId, calls, duePico, force, transactionId } = wish
    return db.transaction().execute(async (trx) => {
      await holdBalance(trx, organizationId)
      const reference = `rerate:${rerate.id}:${organizationId}`
      const amountPico = duePico - (await givenSoFar(trx, reference, organizationId))
      if (amountPico === 0n) return null
      const { balancePico } = await balanceOf(trx, organizationId)
      if (!force && amountPico < 0n && balancePico + amountPico < 0n) {
        return { organizationId, amountPico, state: 'overdrawn' }
      }
      await post(trx, {
        id: transactionId(),
        kind: 'correction',
        organizationId,
        atMs: change.atMs,
        reference: `${reference}:${calls}`,
        note: `Charged again at the price ${rerate.price.id} of ${rerate.provider}/${rerate.model}`,
        entries: [
          { account: creditsAccount(organizationId), amountPico },
          { account: 'revenue', amountPico: -amountPico },
        ],
      })
      return { organizationId, amountPico, state: 'posted' }
    })
  }

  return {
    async preview(rerate) {
      const posted = await postedRerates(db, rerate)
      const days = new Map<string, RerateSums & { model: string; dayMs: number }>()
      const organizations = new Map<string, RerateSums & { organizationId: string }>()
      await compare(rerate, posted, (call, before, after) => {
        const { model, organizationId } = call
        const dayMs = Math.floor(call.createdAtMs / DAY_MS) * DAY_MS
        add(
          entry(days, `${model}\0${dayMs}`, () => ({ ...none(), model, dayMs })),
          before,
          after,
        )
        add(
          entry(organizations, organizationId, () => ({ ...none(), organizationId })),
          before,
          after,
        )
      })
      return {
        days: [...days.values()].sort((a, b) => byText(a.model, b.model) || a.dayMs - b.dayMs),
        organizations: [...organizations.values()].sort((a, b) => byText(a.organizationId, b.organizationId)),
      }
    },

    async post(change, rerate, { id, reason, force, transactionId }) {
      const noted = await note(change, rerate, { id, reason })
      const before = (await postedRerates(db, rerate)).filter(({ number }) => number < noted.number)
      const organizations = new Map<string, { calls: number; duePico: bigint }>()
      await compare(rerate, before, (call, was, is) => {
        const due = entry(organizations, call.organizationId, () => ({ calls: 0, duePico: 0n }))
        due.calls++
        due.duePico += BigInt(was.chargedPico ?? 0) - BigInt(is.chargedPico ?? 0)
      })
      const corrections: Correction[] = []
      for (const [organizationId, due] of [...organizations].sort(([a], [b]) => byText(a, b))) {
        const correction = await correct(change, noted, { organizationId, ...due, force, transactionId })
        if (correction !== null) corrections.push(correction)
      }
      return { id: noted.id, corrections }
    },

    async list({ limit, after }) {
      const { rows } = await sql<ItemRow>`
        select r.*, p.corrections, p.amount from (
          select * from rerates where ${after === null ? sql`true` : sql`id < ${after}`} order by id desc limit ${limit}
        ) as r cross join lateral (
          select count(*) as corrections, coalesce(sum(e.amount_pico), 0)::text as amount
          from ledger_transactions as t
          join ledger_entries as e on e.transaction_id = t.id and e.account = 'credits:' || t.organization_id
          where t.reference > 'rerate:' || r.id || ':' and t.reference < 'rerate:' || r.id || ';'
        ) as p order by r.id desc`.execute(db)
      return rows.map(itemOf)
    },
  }
}

/** Those over the same models and a part of the time, in the order of their posting. */
async function postedRerates(db: Kysely<Schema>, { provider, fromMs, toMs }: Span): Promise<readonly PostedRerate[]> {
  const rows = await db
    .selectFrom('rerates as r')
    .innerJoin('prices as p', 'p.id', 'r.price_id')
    .selectAll('r')
    .select('p.content as price')
    .where('r.provider', '=', provider)
    .where('r.from_at', '<', new Date(toMs))
    .where('r.to_at', '>', new Date(fromMs))
    .orderBy('r.number')
    .execute()
  return rows.map((row) => ({
    id: row.id,
    number: row.number,
    provider: row.provider,
    model: row.model,
    fromMs: row.from_at.getTime(),
    toMs: row.to_at.getTime(),
    price: row.price,
  }))
}

function covers({ model, fromMs, toMs }: Span, call: RerateCall): boolean {
  if (call.createdAtMs < fromMs || call.createdAtMs >= toMs) return false
  return model.endsWith('*') ? call.model.startsWith(model.slice(0, -1)) : call.model === model
}

function isSame(one: Rerate, other: Rerate): boolean {
  return (
    one.model === other.model &&
    one.fromMs === other.fromMs &&
    one.toMs === other.toMs &&
    one.price.id === other.price.id
  )
}

async function givenSoFar(trx: Kysely<Schema>, reference: string, organizationId: string): Promise<bigint> {
  const { rows } = await sql<{ amount: string }>`
    select coalesce(sum(e.amount_pico), 0)::text as amount from ledger_transactions as t
    join ledger_entries as e on e.transaction_id = t.id and e.account = ${creditsAccount(organizationId)}
    where t.reference > ${`${reference}:`} and t.reference < ${`${reference};`}`.execute(trx)
  return BigInt(rows[0]!.amount)
}

function none(): RerateSums {
  return {
    calls: 0,
    changed: 0,
    costBeforePico: 0n,
    costAfterPico: 0n,
    chargedBeforePico: 0n,
    chargedAfterPico: 0n,
  }
}

function add(sums: RerateSums, before: Rated, after: Rated): void {
  sums.calls++
  if (before.costPico !== after.costPico || before.chargedPico !== after.chargedPico) sums.changed++
  sums.costBeforePico += BigInt(before.costPico ?? 0)
  sums.costAfterPico += BigInt(after.costPico ?? 0)
  sums.chargedBeforePico += BigInt(before.chargedPico ?? 0)
  sums.chargedAfterPico += BigInt(after.chargedPico ?? 0)
}

function entry<T>(map: Map<string, T>, key: string, make: () => T): T {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

interface ItemRow {
  readonly id: string
  readonly created_at: Date
  readonly provider: string
  readonly model: string
  readonly from_at: Date
  readonly to_at: Date
  readonly price_id: string
  readonly reason: string
  readonly corrections: number
  readonly amount: string
}

function itemOf(row: ItemRow): RerateItem {
  const { id, provider, model, reason, corrections } = row
  const times = { createdAtMs: row.created_at.getTime(), fromMs: row.from_at.getTime(), toMs: row.to_at.getTime() }
  return { id, provider, model, reason, corrections, ...times, priceId: row.price_id, amountPico: BigInt(row.amount) }
}
