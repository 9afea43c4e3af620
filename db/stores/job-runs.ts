import { type Kysely, sql } from 'kysely'
import type { Schema } from '../schema/index.ts'

/** A run that was taken: `token` proves it to whoever asks. */
export interface JobRun {
  readonly name: string
  readonly token: string
}

export type TakenJob =
  /** `failures`: runs before this one that failed, in a row. */
  | { readonly taken: true; readonly failures: number }
  /** Not before this time, epoch milliseconds: it isn't due, or somebody runs it. */
  | { readonly taken: false; readonly notBeforeMs: number }

/**
 * Who runs a periodic job, agreed upon by all instances of one database. Times are epoch milliseconds by the callers' own
 * clocks: where these differ, a job is due earlier or later by as much.
 */
export interface JobRunStore {
  /**
   * Takes a job until `untilMs`. Promise: of all that ask, one is given it, and nobody else before it is given back or
   * `untilMs` has passed.
   * @param run `nextMs`: when it is due again if nobody says anything else; `anyway`: whether or not it is due now
   */
  take(
    run: JobRun & {
      readonly nowMs: number
      readonly untilMs: number
      readonly nextMs: number
      readonly anyway: boolean
    },
  ): Promise<TakenJob>
  /** Goes on with it until `untilMs`. @returns false when it isn't this run's any more */
  prolong(run: JobRun, untilMs: number): Promise<boolean>
  /** Gives it back. @param end `error`: what went wrong, null: nothing */
  giveBack(
    run: JobRun,
    end: { readonly nowMs: number; readonly nextMs: number; readonly error: string | null },
  ): Promise<void>
}

const MAX_ERROR = 1_000

export function jobRunStore(db: Kysely<Schema>): JobRunStore {
  return {
    async take({ name, token, nowMs, untilMs, nextMs, anyway }) {
      const { rows } = await sql<{ readonly failures: number }>`
        insert into job_runs as j (name, token, ran_at, until, next_at)
        values (${name}, ${token}, ${time(nowMs)}, ${time(untilMs)}, ${time(nextMs)})
        on conflict (name) do update
          set token = excluded.token, ran_at = excluded.ran_at, until = excluded.until, next_at = excluded.next_at
          where j.until <= excluded.ran_at and (${anyway}::boolean or j.next_at <= excluded.ran_at)
        returning failures`.execute(db)
      const row = rows[0]
      if (row !== undefined) return { taken: true, failures: row.failures }
      const held = await db
        .selectFrom('job_runs')
        .select(['until', 'next_at'])
        .where('name', '=', name)
        .executeTakeFirst()
      const times = held === undefined ? [nowMs] : [held.until.getTime(), anyway ? nowMs : held.next_at.getTime()]
      return { taken: false, notBeforeMs: Math.max(...times) }
    },

    async prolong({ name, token }, untilMs) {
      const { numUpdatedRows } = await db
        .updateTable('job_runs')
        .set({ until: new Date(untilMs) })
        .where('name', '=', name)
        .where('token', '=', token)
        .executeTakeFirst()
      return numUpdatedRows === 1n
    },

    async giveBack({ name, token }, { nowMs, nextMs, error }) {
      await sql`
        update job_runs set token = '', until = ${time(nowMs)}, next_at = ${time(nextMs)},
          failures = case when ${error}::text is null then 0 else failures + 1 end,
          error = ${error === null ? null : error.replaceAll('\0', '').slice(0, MAX_ERROR)}::text
        where name = ${name} and token = ${token}`.execute(db)
    },
  }
}

function time(epochMs: number) {
  return sql`to_timestamp(${epochMs}::float8 / 1000)`
}
