import type { Taken } from '../../db/kv/kv.ts'
import { type Admitted, type Asked, grow, type Rate } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'

const MINUTE_MS = 60_000

/** Takes one request from the organization's minute. @throws RateLimited when none is left */
export async function admit(call: Asked, deps: Deps): Promise<Admitted> {
  const { plan, organizationId } = call.principal
  const limit = plan.requestsPerMinute
  if (limit === null) return grow(call, { rate: null })
  const nowMs = deps.clock.now()
  const asked = deps.kv.take(`rpm:${organizationId}`, limit, { windowMs: MINUTE_MS, nowMs })
  const taken = asked instanceof Promise ? await asked : asked
  const rate = { limit, remaining: taken.remaining, resetMs: taken.resetMs }
  if (!taken.allowed) throw refusal(plan.name, rate, taken, nowMs)
  return grow(call, { rate })
}

/** Carries the window, so that the refusal's headers tell it. */
export class RateLimited extends GatewayError {
  readonly rate: Rate
  constructor(message: string, rate: Rate, options: { retryAfter: number; details: Record<string, unknown> }) {
    super('rate_limit_exceeded', message, options)
    this.rate = rate
  }
}

function refusal(plan: string, rate: Rate, taken: Taken, nowMs: number): RateLimited {
  const retryAfter = Math.max(1, Math.ceil((taken.resetMs - nowMs) / 1000))
  const resetAt = new Date(taken.resetMs).toISOString()
  return new RateLimited(
    `The ${plan} plan allows ${rate.limit} requests a minute; try again in ${retryAfter} s`,
    rate,
    { retryAfter, details: { plan, limit: rate.limit, reset_at: resetAt } },
  )
}
