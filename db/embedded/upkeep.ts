import { PGlite } from '@electric-sql/pglite'

/** The write-ahead log that may pile up: it is space on disk, and time to replay after a kill. */
const WAL_BYTES = 64 * 1024 * 1024

/** Parts of the log that were checkpointed are kept for reuse only up to this. */
export const START_PARAMS = [...PGlite.defaultStartParams, '-c', 'max_wal_size=64MB', '-c', 'min_wal_size=32MB']

// VACUUM can't be part of a group. 3 000 sampled rows are enough for plans like ours.
const STATEMENTS = [
  'checkpoint',
  'set default_statistics_target = 10',
  'vacuum (analyze) usage_hourly',
  'vacuum (analyze) usage_daily',
  'analyze calls',
] as const

/**
 * What a server's background processes would do: PGlite has none, so that without this its write-ahead log would grow for
 * ever and no table be analyzed. 1 ms when there is nothing to do, else some 300 ms. Must not be called in a transaction.
 */
export async function upkeep(pg: PGlite): Promise<boolean> {
  const { rows } = await pg.query<{ bytes: number }>(
    'select (pg_current_wal_insert_lsn() - redo_lsn)::float8 as bytes from pg_control_checkpoint()',
  )
  if ((rows[0]?.bytes ?? 0) < WAL_BYTES) return false
  for (const statement of STATEMENTS) await pg.exec(statement)
  return true
}
