import { type Kysely, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './key-lookup.ts'

/** What two parts of the books say of the same thing, where they don't agree. Pico-dollars. */
export interface Difference {
  /**
   * `entries`: all entries together, or those of one transaction, must sum to zero. `calls`: what an organization's calls
   * were charged is the usage in its ledger. `hours` and `days`: so it is in the sums by the hour and by the day. `balance`: what is kept of its balance is
   * what its entries add up to. `overdrawn`: less than nothing is left to it.
   */
  readonly check: 'entries' | 'calls' | 'hours' | 'days' | 'balance' | 'overdrawn'
  /** A transaction's or an organization's id; '': of all. */
  readonly of: string
  readonly expectedPico: bigint
  readonly foundPico: bigint
}

export interface Books {
  /** Everything agrees and nobody is below zero. */
  readonly ok: boolean
  /** Of each check the first hundred. */
  readonly differences: readonly Difference[]
  readonly transactions: number
  /** What all organizations together have left. */
  readonly balancePico: bigint
}

const OWED = sql`select substr(account, 9) as organization_id,
    coalesce(sum(amount_pico) filter (where kind <> 'usage'), 0) as granted,
    - coalesce(sum(amount_pico) filter (where kind = 'usage'), 0) as spent
  from ledger_entries join ledger_transactions as t on t.id = transaction_id
  where account like 'credits:%' group by account`

/** All checks in one statement, and so at one moment. */
const CHECKS = sql<{ check: Difference['check']; of: string; expected: string; found: string }>`
with owed as materialized (${OWED}),
called as materialized (
  select organization_id, sum(charged_pico) as pico from calls where charged_pico > 0 group by organization_id
),
hours as materialized (
  select organization_id, sum(charged_pico) as pico from usage_hourly where charged_pico <> 0 group by organization_id
),
days as materialized (
  select organization_id, sum(charged_pico) as pico from usage_daily where charged_pico <> 0 group by organization_id
),
differences as (
  (select 'entries' as check, '' as "of", 0::numeric as expected, coalesce(sum(amount_pico), 0) as found from ledger_entries)
  union all
  (select 'entries', transaction_id, 0, sum(amount_pico) from ledger_entries
   group by transaction_id having sum(amount_pico) <> 0 limit 100)
  union all
  (select 'calls', organization_id, coalesce(c.pico, 0), coalesce(o.spent, 0)
   from called as c full join owed as o using (organization_id) where coalesce(c.pico, 0) <> coalesce(o.spent, 0) limit 100)
  union all
  (select 'hours', organization_id, coalesce(c.pico, 0), coalesce(s.pico, 0)
   from called as c full join hours as s using (organization_id) where coalesce(c.pico, 0) <> coalesce(s.pico, 0) limit 100)
  union all
  (select 'days', organization_id, coalesce(c.pico, 0), coalesce(s.pico, 0)
   from called as c full join days as s using (organization_id) where coalesce(c.pico, 0) <> coalesce(s.pico, 0) limit 100)
  union all
  (select 'balance', organization_id, coalesce(o.granted, 0) - coalesce(o.spent, 0),
     coalesce(b.granted_pico, 0) - coalesce(b.spent_pico, 0)
   from owed as o full join credit_balances as b using (organization_id)
   where coalesce(o.granted, 0) <> coalesce(b.granted_pico, 0) or coalesce(o.spent, 0) <> coalesce(b.spent_pico, 0) limit 100)
  union all
  (select 'overdrawn', organization_id, 0, granted - spent from owed where granted < spent limit 100)
)
select "check", "of", expected::text as expected, found::text as found from differences where expected <> found or "check" = 'balance'`

const TOTALS = sql<{ transactions: number; balance: string }>`
select (select count(*) from ledger_transactions) as transactions,
  (select coalesce(sum(granted_pico - spent_pico), 0)::text from credit_balances) as balance`

/** Looks through all calls and all entries: seconds for millions of them. */
export async function verifyBooks(db: Kysely<Schema>): Promise<Books> {
  const { rows } = await CHECKS.execute(db)
  const { transactions, balance } = (await TOTALS.execute(db)).rows[0]!
  const differences = rows.map((row) => ({
    check: row.check,
    of: row.of,
    expectedPico: BigInt(row.expected),
    foundPico: BigInt(row.found),
  }))
  return { ok: differences.length === 0, differences, transactions, balancePico: BigInt(balance) }
}

/** Makes the balances again from the entries, which are the truth. @returns the organizations whose were wrong */
export function recountBalances(db: Kysely<Schema>, change: Change): Promise<readonly string[]> {
  return db.transaction().execute(async (trx) => {
    // Who posts waits; what it has posted until now is seen by the next statement, what it adds later is added to it.
    await sql`lock table credit_balances in share row exclusive mode`.execute(trx)
    const { rows } = await sql<Recounted>`
      with owed as materialized (${OWED}), wrong as (
        select organization_id, coalesce(o.granted, 0) as granted, coalesce(o.spent, 0) as spent,
          coalesce(b.granted_pico, 0) - coalesce(b.spent_pico, 0) as before
        from owed as o full join credit_balances as b using (organization_id)
        where coalesce(o.granted, 0) <> coalesce(b.granted_pico, 0) or coalesce(o.spent, 0) <> coalesce(b.spent_pico, 0)
      ), mended as (
        insert into credit_balances (organization_id, granted_pico, spent_pico)
        select organization_id, granted, spent from wrong
        on conflict (organization_id) do update set granted_pico = excluded.granted_pico, spent_pico = excluded.spent_pico
      )
      select organization_id, before::text as before, (granted - spent)::text as after from wrong order by 1`.execute(
      trx,
    )
    if (rows.length === 0) return []
    const of = (which: 'before' | 'after') => Object.fromEntries(rows.map((row) => [row.organization_id, row[which]]))
    await audit(trx, change, { type: 'credit_balances', id: 'all', before: of('before'), after: of('after') })
    for (const row of rows) await notifyKeys(trx, row.organization_id)
    return rows.map((row) => row.organization_id)
  })
}

interface Recounted {
  readonly organization_id: string
  readonly before: string
  readonly after: string
}
