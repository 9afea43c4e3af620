import { type Kysely, sql } from 'kysely'
import type { Change, Scope } from '../model/access.ts'
import type { Credits } from '../model/limits.ts'
import { PICO_PER_NANO } from '../model/money.ts'
import type { UsagePosition } from '../model/usage-query.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { type Books, recountBalances, verifyBooks } from './books.ts'
import { creditsAccount, type Posting, type PostingKind, post } from './ledger-posting.ts'
import { after, all, time } from './usage-sql.ts'

/** What an organization has of credits. Pico-dollars. */
export interface Balance {
  /** All that was paid in, granted, corrected or paid back. */
  readonly grantedPico: bigint
  /** All usage. */
  readonly spentPico: bigint
  /** What is left: below zero only by a correction that was forced, or calls that were under way. */
  readonly balancePico: bigint
}

/** A transaction as its organization sees it. */
export interface LedgerItem {
  readonly id: string
  readonly createdAtMs: number
  readonly kind: PostingKind
  /** What it did to the organization's credits. */
  readonly amountPico: bigint
  readonly reference: string
  readonly note: string | null
}

/** What is absent filters nothing. */
export interface LedgerFilter {
  readonly kind?: PostingKind
  /** Inclusive. */
  readonly fromMs?: number
  /** Exclusive. */
  readonly toMs?: number
}

/** Something that who runs the installation gives an organization or takes from it. */
export interface HandPosting {
  /** `txn_…` */
  readonly id: string
  readonly organizationId: string
  readonly amountPico: bigint
  /** The same is posted once for an organization; null: this is no repetition of anything. */
  readonly reference: string | null
  readonly note: string
}

/** An organization that pays by credits. */
export interface Payer {
  readonly organizationId: string
  readonly credits: Credits
}

/** `repeated`: that reference was posted before; `overdrawn`: nothing was done, since less than that is there. */
export type Posted = 'posted' | 'repeated' | 'overdrawn'

export interface LedgerStore {
  /** See post() of ledger-posting.ts. */
  post(posting: Posting): Promise<boolean>
  balance(scope: Scope): Promise<Balance>
  /** Whether its calls are paid by credits. */
  pays(scope: Scope): Promise<'none' | 'credits'>
  /** For the line: see `creditsOf`. */
  creditsOf(organizationId: string): Promise<Credits | null>
  /** All that pay by credits, in the order of their ids, after that one. */
  payers(after: string, limit: number): Promise<readonly Payer[]>
  /** Newest first. */
  list(
    scope: Scope,
    filter: LedgerFilter,
    page: { readonly limit: number; readonly after: UsagePosition | null },
  ): Promise<readonly LedgerItem[]>
  /** Gives credits, on every instance within a second. @returns null when there is no such organization */
  grant(change: Change, posting: HandPosting): Promise<Posted | null>
  /** Gives or (below zero) takes credits. @param options force: even when less than nothing is left then */
  correct(change: Change, posting: HandPosting, options: { readonly force: boolean }): Promise<Posted | null>
  verify(): Promise<Books>
  /** Makes the balances again from the entries. @returns the organizations whose were wrong */
  recount(change: Change): Promise<readonly string[]>
}

export function ledgerStore(db: Kysely<Schema>): LedgerStore {
  /** @param against the house's account that it comes from */
  function postByHand(
    change: Change,
    posting: HandPosting & { readonly kind: 'grant' | 'correction'; readonly against: string },
    mayOverdraw: boolean,
  ): Promise<Posted | null> {
    const { id, kind, organizationId, amountPico, note, against } = posting
    const reference = `${kind}:${organizationId}:${posting.reference ?? id}`
    return db.transaction().execute(async (trx) => {
      if (!(await exists(trx, organizationId))) return null
      await holdBalance(trx, organizationId)
      const { balancePico } = await balanceOf(trx, organizationId)
      if (await isPosted(trx, reference)) return 'repeated'
      if (!mayOverdraw && amountPico < 0n && balancePico + amountPico < 0n) return 'overdrawn'
      const entries = [
        { account: creditsAccount(organizationId), amountPico },
        { account: against, amountPico: -amountPico },
      ]
      if (!(await post(trx, { id, kind, organizationId, atMs: change.atMs, reference, note, entries })))
        return 'repeated'
      const after = { kind, amountPico: amountPico.toString(), reference, note }
      await audit(trx, { ...change, organizationId }, { type: 'ledger_transaction', id, before: null, after })
      return 'posted'
    })
  }

  return {
    post: (posting) => post(db, posting),
    balance: ({ organizationId }) => balanceOf(db, organizationId),

    async pays({ organizationId }) {
      const row = await db
        .selectFrom('organizations')
        .select('pays')
        .where('id', '=', organizationId)
        .executeTakeFirst()
      return row?.pays ?? 'none'
    },

    creditsOf: (organizationId) => creditsOf(db, organizationId),

    async payers(after, limit) {
      const rows = await db
        .selectFrom('organizations as o')
        .leftJoin('credit_balances as b', 'b.organization_id', 'o.id')
        .select(['o.id', 'o.pays', 'o.credit_multiplier', 'b.granted_pico', 'b.spent_pico'])
        .where('o.pays', '=', 'credits')
        .where('o.id', '>', after)
        .orderBy('o.id')
        .limit(limit)
        .execute()
      return rows.map((row) => ({ organizationId: row.id, credits: creditsFrom(row)! }))
    },

    async list({ organizationId }, { kind, fromMs, toMs }, page) {
      const conditions = [
        sql`t.organization_id = ${organizationId}`,
        ...(kind === undefined ? [] : [sql`t.kind = ${kind}`]),
        ...(fromMs === undefined ? [] : [sql`created_at >= ${time(fromMs)}`]),
        ...(toMs === undefined ? [] : [sql`created_at < ${time(toMs)}`]),
        ...after(page.after),
      ]
      const { rows } = await sql<ItemRow>`
        select t.id, t.created_at, t.kind, t.reference, t.note, e.amount_pico::text as amount_pico
        from ledger_transactions as t
        join ledger_entries as e on e.transaction_id = t.id and e.account = ${creditsAccount(organizationId)}
        where ${all(conditions)} order by t.created_at desc, t.id desc limit ${page.limit}`.execute(db)
      return rows.map(itemOf)
    },

    grant: (change, posting) => postByHand(change, { ...posting, kind: 'grant', against: 'grants' }, false),
    correct: (change, posting, { force }) =>
      postByHand(change, { ...posting, kind: 'correction', against: 'corrections' }, force),
    verify: () => verifyBooks(db),
    recount: (change) => recountBalances(db, change),
  }
}

/** In the database transaction that is given, or as it is now. */
export async function balanceOf(db: Kysely<Schema>, organizationId: string): Promise<Balance> {
  const row = await db
    .selectFrom('credit_balances')
    .select(['granted_pico', 'spent_pico'])
    .where('organization_id', '=', organizationId)
    .executeTakeFirst()
  const grantedPico = BigInt(row?.granted_pico ?? 0)
  const spentPico = BigInt(row?.spent_pico ?? 0)
  return { grantedPico, spentPico, balancePico: grantedPico - spentPico }
}

/** What the line has to know of an organization's credits; null: its calls aren't charged, or there is no such one. */
export async function creditsOf(db: Kysely<Schema>, organizationId: string): Promise<Credits | null> {
  const row = await db
    .selectFrom('organizations as o')
    .leftJoin('credit_balances as b', 'b.organization_id', 'o.id')
    .select(['o.pays', 'o.credit_multiplier', 'b.granted_pico', 'b.spent_pico'])
    .where('o.id', '=', organizationId)
    .executeTakeFirst()
  return row === undefined ? null : creditsFrom(row)
}

/** As `creditsOf`, of columns that another statement has read. */
export function creditsFrom(row: {
  readonly pays: 'none' | 'credits'
  readonly credit_multiplier: number
  readonly granted_pico: string | null
  readonly spent_pico: string | null
}): Credits | null {
  if (row.pays === 'none') return null
  return {
    grantedNano: Number(floorNano(BigInt(row.granted_pico ?? 0))),
    spentNano: Number(-floorNano(-BigInt(row.spent_pico ?? 0))),
    multiplier: row.credit_multiplier,
  }
}

const NANO = BigInt(PICO_PER_NANO)

/** Down, below zero as well. */
function floorNano(pico: bigint): bigint {
  const rest = ((pico % NANO) + NANO) % NANO
  return (pico - rest) / NANO
}

/** Until the transaction ends, nobody else adds to an organization's balance. */
export async function holdBalance(trx: Kysely<Schema>, organizationId: string): Promise<void> {
  await sql`insert into credit_balances (organization_id) values (${organizationId}) on conflict do nothing`.execute(
    trx,
  )
  await sql`select from credit_balances where organization_id = ${organizationId} for update`.execute(trx)
}

async function exists(trx: Kysely<Schema>, organizationId: string): Promise<boolean> {
  const row = await trx.selectFrom('organizations').select('id').where('id', '=', organizationId).executeTakeFirst()
  return row !== undefined
}

async function isPosted(trx: Kysely<Schema>, reference: string): Promise<boolean> {
  const row = await trx
    .selectFrom('ledger_transactions')
    .select('id')
    .where('reference', '=', reference)
    .executeTakeFirst()
  return row !== undefined
}

interface ItemRow {
  readonly id: string
  readonly created_at: Date
  readonly kind: PostingKind
  readonly reference: string
  readonly note: string | null
  readonly amount_pico: string
}

function itemOf({ id, created_at, kind, reference, note, amount_pico }: ItemRow): LedgerItem {
  return { id, createdAtMs: created_at.getTime(), kind, amountPico: BigInt(amount_pico), reference, note }
}
