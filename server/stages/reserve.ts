import type { Routed } from '../call.ts'
import type { Deps } from '../deps.ts'
import { hold } from '../limits/holding.ts'
import { giveBack } from '../limits/settlement.ts'
import { windowsOf } from '../limits/standing.ts'

export { giveBack }

/**
 * Takes what the call may use at most of tokens, spending and credits, so that none is ever overdrawn; what is held is
 * settled from every exit. Where little is left the call waits for others, then its answer gets shorter, and only when
 * not even a short one fits it is refused. Keys without such limits pass at once.
 * @throws GatewayError `insufficient_credits`, `quota_exceeded`, `rate_limit_exceeded`, `unknown_model_pricing`;
 * CallerGone when nobody waits any more
 */
export function reserve(call: Routed, deps: Deps): Routed | Promise<Routed> {
  const { limits, credits = null } = call.principal
  if (credits === null && limits !== undefined && limits.length === 0) return call
  const windows = windowsOf(call.principal, deps.kv, deps.clock.now())
  if (credits === null && windows.uses.length === 0 && windows.softUses.length === 0) return call
  return hold(call, windows, deps)
}
