import type { Change } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import { dayAt, dayMs } from '../../db/model/reconcile.ts'
import { DEFAULT_TOLERANCE_PPM } from './compare.ts'
import { ADAPTERS, type Parts, reconcile } from './reconcile.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const BY = 'daily job'

/** As server/jobs.ts takes it. */
export interface ReconcileJob {
  readonly name: string
  readonly everyMs: number
  readonly atMs: number
  run(nowMs: number, signal: AbortSignal): Promise<void>
}

/**
 * Compares yesterday, and again the day before: providers' figures settle late. At six in the morning (UTC), for every
 * provider that has an admin key.
 */
export function reconcileJob(parts: Parts): ReconcileJob {
  return {
    name: 'reconcile',
    everyMs: DAY_MS,
    atMs: 6 * HOUR_MS,
    async run(nowMs, signal) {
      const today = dayAt(nowMs)
      const days = [dayAt(nowMs - 2 * DAY_MS), dayAt(nowMs - DAY_MS)]
      const failures: unknown[] = []
      for (const provider of ADAPTERS.keys()) {
        if ((await parts.control.stores.adminCredentials.list(provider)).length === 0) continue
        if (await isDone(parts, { provider, day: days[1]!, today })) continue
        const wish = { provider, days, tolerancePpm: DEFAULT_TOLERANCE_PPM, by: BY, signal }
        try {
          await reconcile(parts, { ...wish, change: changeOf(parts, nowMs) })
        } catch (error) {
          // What one provider doesn't give keeps nobody from asking the others.
          failures.push(error)
        }
        if (signal.aborted) break
      }
      if (failures.length === 1) throw failures[0]
      if (failures.length > 1) {
        const said = failures.map((one) => (one instanceof Error ? one.message : String(one))).join('; ')
        throw new AggregateError(failures, said)
      }
    },
  }
}

/** A run that is tried again asks only those that have failed. */
async function isDone(
  { control }: Parts,
  { provider, day, today }: { readonly provider: string; readonly day: string; readonly today: string },
): Promise<boolean> {
  const page = { provider, status: null, history: false, limit: 10, after: null }
  const latest = await control.stores.reconciliations.list(page)
  return latest.some((one) => one.day === day && one.createdBy === BY && one.createdAtMs >= dayMs(today))
}

function changeOf({ deps }: Parts, atMs: number): Change {
  return {
    actor: { kind: 'system', id: 'jobs', name: BY },
    action: 'reconcile.run',
    atMs,
    auditId: makeId('aud', atMs, deps.random.bytes(16)),
    requestId: null,
    address: null,
  }
}
