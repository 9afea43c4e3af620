import type { Kysely, Selectable } from 'kysely'
import type { Change } from '../model/access.ts'
import type { ProviderLimitsTable } from '../schema/budgets.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './key-lookup.ts'

/** Notified on KEYS_CHANNEL when what the platform's accounts at some provider may cost, or do, has changed. */
export const PROVIDER_LIMITS = 'provider_limits'

/** What the platform's accounts at a provider may cost, and whether calls go there. Times are epoch milliseconds. */
export interface ProviderLimit {
  readonly provider: string
  /** Nano-dollars a day (UTC), null: any. */
  readonly stopNano: number | null
  /** Until then the stop pauses nothing. */
  readonly stopFreeUntilMs: number | null
  readonly pausedAtMs: number | null
  readonly pausedReason: string | null
}

/** A day's stop that was reached. */
export interface ReachedStop {
  readonly provider: string
  /** The stop that it was held against. */
  readonly stopNano: number
  readonly reason: string
}

/** Every instance is told of a change with its commit. */
export interface ProviderLimitStore {
  /** Those that were ever set, by provider. */
  list(): Promise<readonly ProviderLimit[]>
  /** What a day may cost from now on, this one too, though a provider that is paused stays so. */
  setStop(change: Change, provider: string, stopNano: number | null): Promise<ProviderLimit>
  /** One that is paused stays so for the reason that it has. */
  pause(change: Change, provider: string, reason: string): Promise<ProviderLimit>
  /**
   * Pauses a provider whose stop was reached. @returns true for the one of all instances that did it; false when it is
   * paused already, was resumed for that day, or has another stop by now
   */
  pauseReached(change: Change, reached: ReachedStop): Promise<boolean>
  /** Lets calls go there again; its stop pauses nothing before `freeUntilMs`. */
  resume(change: Change, provider: string, freeUntilMs: number): Promise<ProviderLimit>
}

type Row = Selectable<ProviderLimitsTable>

export function providerLimitStore(db: Kysely<Schema>): ProviderLimitStore {
  /** Its row until the transaction ends, made if there is none. */
  async function hold(trx: Kysely<Schema>, provider: string, atMs: number): Promise<Row> {
    const none = { stop_nano: null, stop_free_until: null, paused_at: null, paused_reason: null }
    await trx
      .insertInto('provider_limits')
      .values({ provider, ...none, updated_at: new Date(atMs) })
      .onConflict((conflict) => conflict.column('provider').doNothing())
      .execute()
    return trx
      .selectFrom('provider_limits')
      .selectAll()
      .where('provider', '=', provider)
      .forUpdate()
      .executeTakeFirstOrThrow()
  }

  function changed(
    change: Change,
    provider: string,
    next: (row: Row) => Partial<Omit<Row, 'provider' | 'updated_at'>> | null,
  ): Promise<{ readonly limit: ProviderLimit; readonly isChanged: boolean }> {
    return db.transaction().execute(async (trx) => {
      const row = await hold(trx, provider, change.atMs)
      const set = next(row)
      if (set === null) return { limit: limitOf(row), isChanged: false }
      const now: Row = { ...row, ...set, updated_at: new Date(change.atMs) }
      const { provider: _, ...columns } = now
      await trx.updateTable('provider_limits').set(columns).where('provider', '=', provider).execute()
      const target = { type: 'provider_limit', id: provider, before: facts(row), after: facts(now) }
      await audit(trx, change, target)
      await notifyKeys(trx, PROVIDER_LIMITS)
      return { limit: limitOf(now), isChanged: true }
    })
  }

  const paused = (change: Change, reason: string) => ({ paused_at: new Date(change.atMs), paused_reason: reason })

  return {
    async list() {
      return (await db.selectFrom('provider_limits').selectAll().orderBy('provider').execute()).map(limitOf)
    },
    async setStop(change, provider, stopNano) {
      return (await changed(change, provider, () => ({ stop_nano: stopNano, stop_free_until: null }))).limit
    },
    async pause(change, provider, reason) {
      return (await changed(change, provider, (row) => (row.paused_at === null ? paused(change, reason) : null))).limit
    },
    async pauseReached(change, { provider, stopNano, reason }) {
      const { isChanged } = await changed(change, provider, (row) => {
        const isFree = row.stop_free_until !== null && row.stop_free_until.getTime() > change.atMs
        return row.paused_at !== null || isFree || row.stop_nano !== stopNano ? null : paused(change, reason)
      })
      return isChanged
    },
    async resume(change, provider, freeUntilMs) {
      const set = { paused_at: null, paused_reason: null, stop_free_until: new Date(freeUntilMs) }
      return (await changed(change, provider, (row) => (row.paused_at === null ? null : set))).limit
    },
  }
}

function limitOf(row: Row): ProviderLimit {
  return {
    provider: row.provider,
    stopNano: row.stop_nano,
    stopFreeUntilMs: row.stop_free_until?.getTime() ?? null,
    pausedAtMs: row.paused_at?.getTime() ?? null,
    pausedReason: row.paused_reason,
  }
}

function facts(row: Row): Record<string, unknown> {
  return {
    stop_nano: row.stop_nano,
    stop_free_until: row.stop_free_until?.toISOString() ?? null,
    paused_at: row.paused_at?.toISOString() ?? null,
    paused_reason: row.paused_reason,
  }
}
