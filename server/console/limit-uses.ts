import type { Limit } from '../../db/model/limits.ts'
import { type Period, periodOf } from '../../db/model/periods.ts'
import type { OwnedLimit } from '../../db/stores/usage-seeds.ts'
import type { Context } from './trpc.ts'

/** What is used of a limit in its present period. */
export interface LimitUse extends Period {
  readonly limit: Limit
  readonly used: number
}

/**
 * What is used of limits by now: what the counters of the line know (calls under way are in them with what is held for
 * them), and at least what the stored calls say. Limits by the minute are known to the counters only.
 */
export async function usesOf(
  { control, deps }: Pick<Context, 'control' | 'deps'>,
  owned: readonly OwnedLimit[],
): Promise<readonly LimitUse[]> {
  if (owned.length === 0) return []
  const nowMs = deps.clock.now()
  const stored = await control.stores.usageSeeds.seedsOfAll(owned, nowMs)
  const counters = owned.map(({ limit }) => counterFor(limit, nowMs))
  const counted = await deps.kv.read(counters, nowMs)
  return owned.map(({ limit }, at) => {
    const used = Math.max(counted[at] ?? 0, stored.get(limit.counter) ?? 0)
    return { limit, used, ...periodOf(limit, nowMs) }
  })
}

/** The limit's counter in kv, for the present period. */
export function counterFor(limit: Limit, nowMs: number) {
  return { key: limit.counter, limit: limit.limit, endMs: periodOf(limit, nowMs).endMs }
}

/** When it begins anew; null: never. */
export function resetOf({ endMs }: Period): number | null {
  return endMs === Number.MAX_SAFE_INTEGER ? null : endMs
}
