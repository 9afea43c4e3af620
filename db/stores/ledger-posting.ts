import { type Kysely, sql } from 'kysely'
import type { Schema } from '../schema/index.ts'
import { notifyKeys } from './key-lookup.ts'

export type PostingKind = Schema['ledger_transactions']['kind']

export interface Entry {
  /** `credits:org_…`, or one of the house's own: `revenue`, `stripe`, `grants`, `corrections`. */
  readonly account: string
  readonly amountPico: bigint
}

export interface Posting {
  /** `txn_…` */
  readonly id: string
  readonly kind: PostingKind
  readonly organizationId: string
  readonly atMs: number
  /** Names what is posted, over all organizations: the same reference is posted once. */
  readonly reference: string
  readonly note: string | null
  /** Two or more that sum to zero, each account once. */
  readonly entries: readonly Entry[]
}

const CREDITS = 'credits:'

/** The account of what we owe an organization. */
export function creditsAccount(organizationId: string): string {
  return CREDITS + organizationId
}

/**
 * Posts a ledger transaction with its entries and adds it to the balances, in the database transaction that is given or
 * one of its own. Every instance reads again what an organization has when that was changed by other things than usage.
 * @returns false when that reference was posted before: nothing was done
 * @throws RangeError for entries that aren't a transaction
 */
export function post(db: Kysely<Schema>, posting: Posting): Promise<boolean> {
  check(posting)
  return db.isTransaction ? postIn(db, posting) : db.transaction().execute((trx) => postIn(trx, posting))
}

async function postIn(trx: Kysely<Schema>, posting: Posting): Promise<boolean> {
  const { id, kind, organizationId, atMs, reference, note, entries } = posting
  const added = await trx
    .insertInto('ledger_transactions')
    .values({
      id,
      created_at: new Date(atMs),
      kind,
      organization_id: organizationId,
      reference,
      note,
      entries: entries.length,
    })
    .onConflict((conflict) => conflict.column('reference').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (added === undefined) return false
  const rows = entries.map((entry) => ({
    transaction_id: id,
    account: entry.account,
    amount_pico: entry.amountPico.toString(),
  }))
  await trx.insertInto('ledger_entries').values(rows).execute()
  // Who locks several balances does so in one order, or two would wait for each other for ever.
  const owners = entries
    .filter(({ account }) => account.startsWith(CREDITS))
    .sort((a, b) => order(a.account, b.account))
  for (const { account, amountPico } of owners) {
    const organization = account.slice(CREDITS.length)
    await addToBalance(trx, { organizationId: organization, kind, amountPico })
    if (kind !== 'usage') await notifyKeys(trx, organization)
  }
  return true
}

async function addToBalance(
  trx: Kysely<Schema>,
  { organizationId, kind, amountPico }: Pick<Posting, 'organizationId' | 'kind'> & Pick<Entry, 'amountPico'>,
): Promise<void> {
  const isUsage = kind === 'usage'
  const granted = (isUsage ? 0n : amountPico).toString()
  const spent = (isUsage ? -amountPico : 0n).toString()
  await sql`
    insert into credit_balances as b (organization_id, granted_pico, spent_pico)
    values (${organizationId}, cast(${granted}::text as numeric), cast(${spent}::text as numeric))
    on conflict (organization_id) do update
    set granted_pico = b.granted_pico + excluded.granted_pico, spent_pico = b.spent_pico + excluded.spent_pico`.execute(
    trx,
  )
}

function check({ entries, reference }: Posting): void {
  const sum = entries.reduce((total, { amountPico }) => total + amountPico, 0n)
  const accounts = new Set(entries.map(({ account }) => account))
  const isWhole = entries.length >= 2 && accounts.size === entries.length
  if (isWhole && sum === 0n && entries.every(({ amountPico }) => amountPico !== 0n)) return
  throw new RangeError(
    `Entries of ${reference} must be two or more, none of them zero, of an account each, and sum to zero`,
  )
}

function order(a: string, b: string): number {
  return a < b ? -1 : 1
}
