import type { Counter, Kv, Wish } from '../../db/kv/kv.ts'
import { type Credits, creditsCounterOf, type Limit, limitsOf } from '../../db/model/limits.ts'
import { periodOf } from '../../db/model/periods.ts'
import type { Principal } from '../deps.ts'
import { type Tally, tallyOf } from './tally.ts'

/** A limit in its present window: a counter of kv. */
export interface Live extends Counter {
  readonly rule: Limit
  readonly tally: Tally
}

/** Every limit of a key in the windows of one time. */
export interface Windows {
  /** When the first of them ends. */
  readonly untilMs: number
  /** Hard limits of requests, then those of tokens and spending. */
  readonly requests: readonly Live[]
  readonly uses: readonly Live[]
  /** The same and the organization's credits, where it pays by them. */
  readonly paidUses: readonly Live[]
  /** What passing is only told of. */
  readonly softRequests: readonly Live[]
  readonly softUses: readonly Live[]
  /** One request, and the question whether anything is left of the rest; then the request alone. */
  readonly admission: readonly Wish[]
  readonly requestOnly: readonly Wish[]
  /** Of `admission`, those that headers tell of. */
  readonly minuteRequests: readonly number[]
  readonly minuteTokens: readonly number[]
  readonly dayTokens: readonly number[]
}

interface Standing {
  readonly limits: readonly Limit[]
  readonly kv: Kv
  windows: Windows | null
}

const standings = new WeakMap<Principal, Standing>()

/** Every limit that holds for a key, in its windows of now. Made once for a key and a window. */
export function windowsOf(principal: Principal, kv: Kv, nowMs: number): Windows {
  let standing = standings.get(principal)
  if (standing === undefined || standing.kv !== kv) {
    standing = { limits: principal.limits ?? limitsOf(principal), kv, windows: null }
    standings.set(principal, standing)
  }
  const { windows } = standing
  if (windows !== null && nowMs < windows.untilMs) return windows
  standing.windows = openWindows(principal, { limits: standing.limits, kv, nowMs })
  return standing.windows
}

interface Opening {
  readonly limits: readonly Limit[]
  readonly kv: Kv
  readonly nowMs: number
}

function openWindows({ organizationId, credits = null }: Principal, { limits, kv, nowMs }: Opening): Windows {
  const lives = limits.map((rule): Live => {
    const { endMs } = periodOf(rule, nowMs)
    return { key: rule.counter, limit: rule.limit, endMs, rule, tally: tallyOf(kv, rule.counter) }
  })
  const isRequests = ({ rule }: Live): boolean => rule.what === 'requests'
  const hard = lives.filter(({ rule }) => rule.hard)
  const soft = lives.filter(({ rule }) => !rule.hard)
  const requests = hard.filter(isRequests)
  const uses = hard.filter((live) => !isRequests(live))
  const counted = [...requests, ...uses]
  const places = (what: string, period: string): number[] =>
    counted.flatMap(({ rule }, at) => (rule.what === what && rule.period === period ? [at] : []))
  return {
    untilMs: Math.min(Number.MAX_SAFE_INTEGER, ...lives.map(({ endMs }) => endMs)),
    requests,
    uses,
    paidUses: credits === null ? uses : [...uses, liveCredits(organizationId, credits, kv)],
    softRequests: soft.filter(isRequests),
    softUses: soft.filter((live) => !isRequests(live)),
    admission: counted.map((live) => wishOf(live, isRequests(live) ? 1 : 0)),
    requestOnly: requests.map((live) => wishOf(live, 1)),
    minuteRequests: places('requests', 'minute'),
    minuteTokens: places('tokens', 'minute'),
    dayTokens: places('tokens', 'day'),
  }
}

export function wishOf({ key, limit, endMs }: Counter, amount: number): Wish {
  return { key, limit, endMs, amount }
}

/** What an organization may spend of its credits: one counter that never ends. */
function liveCredits(organizationId: string, { grantedNano }: Credits, kv: Kv): Live {
  const counter = creditsCounterOf(organizationId)
  const endMs = Number.MAX_SAFE_INTEGER
  const rule: Limit = {
    ...{ of: 'organization', by: 'credits', what: 'spend', period: 'total', anchorMs: null },
    ...{ limit: grantedNano, hard: true, counter },
  }
  return { key: counter, limit: grantedNano, endMs, rule, tally: tallyOf(kv, counter) }
}
