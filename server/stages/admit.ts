import type { Taken } from '../../db/kv/kv.ts'
import type { OwnMinute } from '../../db/model/key-rules.ts'
import { type Admitted, type Asked, grow, type Rate } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'

const MINUTE_MS = 60_000
const NONE: readonly OwnMinute[] = []

/** Takes one request from the minute of the key, its project and its organization. @throws RateLimited when one has none left */
export async function admit(call: Asked, deps: Deps): Promise<Admitted> {
  const { plan, organizationId } = call.principal
  const minutes = call.principal.rules?.minutes ?? NONE
  const limit = plan.requestsPerMinute
  if (limit === null && minutes.length === 0) return grow(call, { rate: null })
  const nowMs = deps.clock.now()
  const own = minutes.length === 0 ? null : await takeOwn(call, minutes, { deps, nowMs })
  if (limit === null) return grow(call, { rate: own })
  const asked = deps.kv.take(`rpm:${organizationId}`, limit, { windowMs: MINUTE_MS, nowMs })
  const taken = asked instanceof Promise ? await asked : asked
  const rate = { limit, remaining: taken.remaining, resetMs: taken.resetMs }
  if (!taken.allowed) throw refusal(call, { of: 'organization', rate, nowMs })
  return grow(call, { rate: own === null ? rate : tighter(own, rate) })
}

/**
 * The narrow windows are asked before the wide one. Who is refused by a wider window has taken from the narrower ones in
 * vain, and nobody misses it: all of them end with the same minute, until which the wider one refuses everybody in the
 * narrower.
 * @returns where the caller stands in the tightest
 */
async function takeOwn(
  call: Asked,
  minutes: readonly OwnMinute[],
  { deps, nowMs }: { readonly deps: Deps; readonly nowMs: number },
): Promise<Rate | null> {
  let tightest: Rate | null = null
  for (const { of, counter, limit } of minutes) {
    const asked = deps.kv.take(counter, limit, { windowMs: MINUTE_MS, nowMs })
    const taken: Taken = asked instanceof Promise ? await asked : asked
    const rate = { limit, remaining: taken.remaining, resetMs: taken.resetMs }
    if (!taken.allowed) throw refusal(call, { of, rate, nowMs })
    tightest = tightest === null ? rate : tighter(tightest, rate)
  }
  return tightest
}

/** The one that leaves less; of equals the smaller. */
function tighter(one: Rate, other: Rate): Rate {
  if (one.remaining !== other.remaining) return one.remaining < other.remaining ? one : other
  return one.limit <= other.limit ? one : other
}

/** Carries the window, so that the refusal's headers tell it. */
export class RateLimited extends GatewayError {
  readonly rate: Rate
  constructor(message: string, rate: Rate, options: { retryAfter: number; details: Record<string, unknown> }) {
    super('rate_limit_exceeded', message, options)
    this.rate = rate
  }
}

interface Refusal {
  /** Whose window is spent. */
  readonly of: OwnMinute['of'] | 'organization'
  readonly rate: Rate
  readonly nowMs: number
}

function refusal({ principal }: Asked, { of, rate, nowMs }: Refusal): RateLimited {
  const plan = principal.plan.name
  const retryAfter = Math.max(1, Math.ceil((rate.resetMs - nowMs) / 1000))
  const details = { plan, limit: rate.limit, reset_at: new Date(rate.resetMs).toISOString() }
  const who = of === 'organization' ? `The ${plan} plan` : `This ${of}`
  return new RateLimited(`${who} allows ${rate.limit} requests a minute; try again in ${retryAfter} s`, rate, {
    retryAfter,
    details: of === 'organization' ? details : { ...details, limit_of: of },
  })
}
