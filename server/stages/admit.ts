import type { Verdict } from '../../db/kv/kv.ts'
import { type Admitted, type Asked, grow, type Quota, type Rate } from '../call.ts'
import type { Deps } from '../deps.ts'
import { refusalOf } from '../limits/refusal.ts'
import { type Windows, windowsOf } from '../limits/standing.ts'
import { watch } from '../limits/watch.ts'

/**
 * Takes one request from every limit of requests that holds for the key, from all or from none, and asks whether anything
 * is left of those of tokens and spending: where nothing is, `reserve` finds out whether that is for good.
 * @throws GatewayError `rate_limit_exceeded` for a minute, `quota_exceeded` for what lasts longer
 */
export async function admit(call: Asked, deps: Deps): Promise<Admitted> {
  const { limits } = call.principal
  if (limits !== undefined && limits.length === 0) return grow(call, { rate: null })
  const nowMs = deps.clock.now()
  const windows = windowsOf(call.principal, deps.kv, nowMs)
  const { admission, softRequests } = windows
  for (const live of softRequests) {
    const added = deps.kv.add(live, 1, nowMs)
    if (added instanceof Promise) await added
    watch(live, call.principal, { used: Number.MAX_SAFE_INTEGER, nowMs }, deps)
  }
  if (admission.length === 0) return grow(call, { rate: null, windows })
  const asked = deps.kv.takeAll(admission, nowMs)
  const first = asked instanceof Promise ? await asked : asked
  const verdict = first.allowed ? first : await withoutUse(first, { windows, nowMs }, deps)
  const { remaining, refused } = verdict
  grow(call, { rate: tightest(windows, windows.minuteRequests, remaining), quota: quotaOf(windows, remaining) })
  if (deps.alerts != null) watchRequests(call, { windows, nowMs, verdict }, deps)
  if (refused >= 0) throw refusalOf(call.principal, windows.requests[refused]!, nowMs)
  return grow(call as Asked & Pick<Admitted, 'rate'>, { windows })
}

interface At {
  readonly windows: Windows
  readonly nowMs: number
}

/** Tokens or money are used up, or held by others: the request alone. */
async function withoutUse(first: Verdict, { windows, nowMs }: At, deps: Deps): Promise<Verdict> {
  const { requests, requestOnly } = windows
  if (first.refused < requests.length) return first
  if (requests.length === 0) return { ...first, allowed: true, refused: -1 }
  const second = await deps.kv.takeAll(requestOnly, nowMs)
  return { ...second, remaining: [...second.remaining, ...first.remaining.slice(requests.length)] }
}

/** Of these places the one that leaves least; of equals the smallest limit. Null: there are none. */
function tightest({ admission }: Windows, places: readonly number[], left: readonly number[]): Rate | null {
  let best = -1
  for (const at of places) {
    const less = best < 0 || left[at]! < left[best]!
    if (less || (left[at] === left[best] && admission[at]!.limit < admission[best]!.limit)) best = at
  }
  if (best < 0) return null
  const { limit, endMs } = admission[best]!
  return { limit, remaining: left[best]!, resetMs: endMs }
}

function quotaOf(windows: Windows, left: readonly number[]): Quota | null {
  const { minuteTokens, dayTokens } = windows
  if (minuteTokens.length === 0 && dayTokens.length === 0) return null
  return { minute: tightest(windows, minuteTokens, left), day: tightest(windows, dayTokens, left) }
}

function watchRequests(call: Asked, { windows, nowMs, verdict }: At & { readonly verdict: Verdict }, deps: Deps): void {
  for (const [at, live] of windows.requests.entries()) {
    watch(live, call.principal, { used: live.limit - verdict.remaining[at]!, nowMs, isExact: true }, deps)
  }
}
