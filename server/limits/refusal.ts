import { formatUsd, PICO_PER_NANO } from '../../db/model/money.ts'
import type { Principal } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Live } from './standing.ts'

const ENDLESS = Number.MAX_SAFE_INTEGER

/**
 * What a caller is told when a limit has nothing left for it: 402 for credits, 429 `rate_limit_exceeded` for a minute's,
 * which a later try may find open, and `quota_exceeded` for what lasts longer.
 */
export function refusalOf({ plan }: Principal, live: Live, nowMs: number): GatewayError {
  const { rule, endMs } = live
  if (rule.by === 'credits') return noCredits()
  const { of, what, period } = rule
  const isMinute = period === 'minute'
  const retryAfterS = Math.max(1, Math.ceil((endMs - nowMs) / 1000))
  const resetAt = endMs === ENDLESS ? null : new Date(endMs).toISOString()
  const amount = what === 'spend' ? `${formatUsd(BigInt(rule.limit) * NANO)} USD` : `${rule.limit} ${what}`
  const when = isMinute ? `try again in ${retryAfterS} s` : resetAt === null ? null : `it begins anew at ${resetAt}`
  const message = `${whose(live, plan.name)} allows ${amount} ${PERIODS[period]}${when === null ? '' : `; ${when}`}`
  const limit = what === 'spend' ? formatUsd(BigInt(rule.limit) * NANO) : rule.limit
  const details = { plan: plan.name, limit, reset_at: resetAt }
  const more = { limit_of: of, period, what, ...(rule.by.startsWith('bud_') ? { budget: rule.by } : {}) }
  const options = resetAt === null ? {} : { retryAfter: retryAfterS }
  if (!isMinute) return new GatewayError('quota_exceeded', message, { ...options, details: { ...details, ...more } })
  const isPlain = what === 'requests' && of === 'organization'
  return new GatewayError('rate_limit_exceeded', message, {
    ...options,
    details: isPlain ? details : what === 'requests' ? { ...details, limit_of: of } : { ...details, ...more },
  })
}

export function noCredits(): GatewayError {
  return new GatewayError('insufficient_credits', "The organization's credits don't suffice for this call: top them up")
}

const NANO = BigInt(PICO_PER_NANO)
const PERIODS = { minute: 'a minute', day: 'a day', week: 'a week', month: 'a month', total: 'in all' } as const

function whose({ rule }: Live, plan: string): string {
  if (rule.by.startsWith('bud_')) return `A budget of this ${rule.of}`
  return rule.of === 'organization' ? `The ${plan} plan` : `This ${rule.of}`
}
