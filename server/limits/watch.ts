import { PICO_PER_NANO } from '../../db/model/money.ts'
import type { Deps, Principal } from '../deps.ts'
import type { Live } from './standing.ts'

/** Parts of a limit that people are told of. */
const PERCENTS = [50, 80, 100] as const
/** Credits are low at a tenth of all that was ever paid in, and never sooner than at 5 USD. */
const LOW_PART = 10
const LOW_NANO = 5_000_000_000
/** How soon is looked again whether a limit is near, when calls under way only made it seem so. */
const LOOK_AGAIN_MS = 1_000

interface Seen {
  /** What is used of it, calls under way included. */
  readonly used: number
  readonly nowMs: number
  /** It is used for good. */
  readonly isExact?: boolean
}

/**
 * Raises an event as soon as a part of a limit is used up: once in this process for each part, window and limit. Costs a
 * comparison otherwise.
 */
export function watch(live: Live, principal: Principal, seen: Seen, deps: Deps): void {
  const { tally, endMs, limit, rule } = live
  if (deps.alerts == null || rule.period === 'minute') return
  if (tally.toldEndMs !== endMs || tally.toldLimit !== limit) {
    tally.toldEndMs = endMs
    tally.toldLimit = limit
    tally.tellAt = rule.by === 'credits' ? limit - lowAt(limit) : partOf(limit, PERCENTS[0])
    tally.lookAgainMs = 0
  }
  if (seen.used < tally.tellAt) return
  if (seen.isExact === true) return tell(live, principal, seen.used, deps)
  if (deps.kv.isAlone === true) return look(live, principal, deps)
  if (tally.isDue) return
  const waitMs = tally.lookAgainMs - seen.nowMs
  if (waitMs <= 0) return look(live, principal, deps)
  tally.isDue = true
  deps.clock.timer(waitMs, () => {
    tally.isDue = false
    look(live, principal, deps)
  })
}

/** Asks the store what is used for good. */
function look(live: Live, principal: Principal, deps: Deps): void {
  const { tally } = live
  const nowMs = deps.clock.now()
  tally.lookAgainMs = nowMs + LOOK_AGAIN_MS
  const found = (used: readonly number[]): void => tell(live, principal, used[0]! - tally.held, deps)
  const asked = deps.kv.read([live], nowMs)
  if (asked instanceof Promise) asked.then(found, () => {})
  else found(asked)
}

function tell(live: Live, principal: Principal, used: number, deps: Deps): void {
  const { tally, limit } = live
  if (live.rule.by === 'credits') {
    if (used < tally.tellAt) return
    tally.tellAt = Number.POSITIVE_INFINITY
    const balancePico = (limit - used) * PICO_PER_NANO
    return deps.alerts?.raise({ kind: 'credits_low', organizationId: principal.organizationId, balancePico })
  }
  for (const percent of PERCENTS) {
    const at = partOf(limit, percent)
    if (at < tally.tellAt) continue
    if (used < at) {
      tally.tellAt = at
      return
    }
    raise(live, principal, percent, deps)
  }
  tally.tellAt = Number.POSITIVE_INFINITY
}

function raise({ rule, key, limit, endMs }: Live, principal: Principal, percent: 50 | 80 | 100, deps: Deps): void {
  const { organizationId, projectId, keyId } = principal
  deps.alerts?.raise({
    kind: rule.by.startsWith('bud_') ? 'budget' : 'quota',
    organizationId,
    projectId: rule.of === 'organization' ? null : projectId,
    keyId: rule.of === 'key' ? keyId : null,
    counter: key,
    what: rule.what,
    period: rule.period as 'day',
    percent,
    limit,
    resetMs: endMs === Number.MAX_SAFE_INTEGER ? null : endMs,
  })
}

function partOf(limit: number, percent: number): number {
  return Math.ceil((limit / 100) * percent)
}

function lowAt(grantedNano: number): number {
  return Math.min(LOW_NANO, Math.floor(grantedNano / LOW_PART))
}

const MOST_MISSING = 10_000
const missing = new WeakMap<Deps, Set<string>>()

/** A call that somebody pays for has no price: told once a process for each model and organization. */
export function tellMissing(organizationId: string, provider: string, model: string, deps: Deps): void {
  if (deps.alerts == null) return
  const told = missing.get(deps) ?? new Set<string>()
  missing.set(deps, told)
  const name = `${organizationId}/${provider}/${model}`
  if (told.has(name)) return
  if (told.size >= MOST_MISSING) told.clear()
  told.add(name)
  deps.alerts.raise({ kind: 'price_missing', organizationId, provider, model })
}
