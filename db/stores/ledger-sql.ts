/**
 * Parts of a statement that charge usage: one ledger transaction for each organization of a batch of calls, its entries and
 * its balance. They read from `charged` (organization_id, first_id, last_id, calls, pico, until): calls that were inserted
 * in this very database transaction, so that none is charged twice. The transaction is named by its first and last call and
 * their number. Balances are locked in the order of their organizations.
 */
export const POST_CHARGED = `posted as (
  insert into ledger_transactions (id, created_at, kind, organization_id, reference, note, entries)
  select 'txn_' || substr(first_id, 5), until, 'usage', organization_id,
    'usage:' || first_id || ':' || last_id || ':' || calls, calls || case calls when 1 then ' call' else ' calls' end, 2
  from charged order by organization_id
  on conflict do nothing
  returning id, organization_id
), entered as (
  insert into ledger_entries (transaction_id, account, amount_pico)
  select p.id, e.account, e.amount from posted as p join charged as c on c.organization_id = p.organization_id
  cross join lateral (values ('credits:' || p.organization_id, - c.pico), ('revenue', c.pico)) as e (account, amount)
), spent as (
  insert into credit_balances as b (organization_id, spent_pico)
  select c.organization_id, c.pico from posted as p join charged as c on c.organization_id = p.organization_id order by 1
  on conflict (organization_id) do update set spent_pico = b.spent_pico + excluded.spent_pico
)`

/** `charged` of the rows of `fresh`, which have the columns of `calls`. */
export const CHARGED_OF_FRESH = `charged as (
  select organization_id, min(id) as first_id, max(id) as last_id, count(*) as calls, sum(charged_pico) as pico,
    max(created_at) as until
  from fresh where charged_pico > 0 group by organization_id
)`

/** $1: a JSON array of `charged`, amounts as text, with `until_ms` for `until`. */
export const POST_USAGE = `
with charged as (
  select organization_id, first_id, last_id, calls, pico, to_timestamp(until_ms / 1000) as until
  from json_to_recordset($1::json) as r(organization_id text collate "C", first_id text collate "C",
    last_id text collate "C", calls int, pico numeric, until_ms float8)
), ${POST_CHARGED}
select count(*)::int as posted from posted`
