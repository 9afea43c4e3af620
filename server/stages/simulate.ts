import { formatUsd } from '../../db/model/money.ts'
import { type Asked, type Routed, retarget, type Target } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError, openaiFace } from '../errors.ts'
import { boundOf } from '../limits/bound.ts'
import { factorOf, mostPico, needOf } from '../limits/need.ts'
import { type Live, windowsOf } from '../limits/standing.ts'

/** What a request would do. Amounts are USD. */
export interface Simulation {
  readonly would: 'call' | 'refuse'
  /** What its caller would be told; null: it would be sent. */
  readonly error: object | null
  readonly targets: readonly object[]
  readonly limits: readonly object[]
}

/**
 * Where a routed call would go, what it may cost there at most, and what would be changed for each target. Nothing is
 * called, taken or counted.
 * @param prepare the stage that makes the request
 */
export async function simulated(
  call: Routed,
  prepare: (call: Routed) => { readonly adapted: string | null },
  deps: Deps,
): Promise<Simulation> {
  const limits = await standing(call, deps)
  const targets = call.targets.map((target) => shown(call, { target, prepare, deps }))
  const spent = limits.find(({ live, used }) => live.rule.hard && live.rule.what === 'requests' && used >= live.limit)
  const usable = targets.some(({ error }) => error === null)
  const refusal =
    spent === undefined ? null : new GatewayError('rate_limit_exceeded', `A limit is used up: ${spent.text.of}`)
  return {
    would: refusal === null && usable ? 'call' : 'refuse',
    error: refusal !== null ? openaiFace(refusal).error : usable ? null : targets[0]!.error,
    targets,
    limits: limits.map(({ text }) => text),
  }
}

/** A call that would be refused before it came to a target. */
export function refusedEarly(error: GatewayError): Simulation {
  return { would: 'refuse', error: openaiFace(error).error, targets: [], limits: [] }
}

interface Shown {
  readonly target: Target
  readonly prepare: (call: Routed) => { readonly adapted: string | null }
  readonly deps: Deps
}

function shown(call: Routed, { target, prepare, deps }: Shown) {
  const { provider, account, model, rule } = target
  const about = {
    provider: provider.id,
    model,
    route: rule,
    account: account.own ? 'project' : 'platform',
    health: deps.breaker?.isOpen(provider.id, account.id) === true ? 'unhealthy' : 'healthy',
  }
  try {
    // A copy: each target makes something else of the call.
    const own = retarget({ ...call }, target)
    const { adapted } = prepare(own)
    return { ...about, adapted: adapted === null ? [] : adapted.split(','), ...atMost(own, deps), error: null }
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    return { ...about, adapted: [], tokens_at_most: null, cost_at_most_usd: null, error: openaiFace(thrown).error }
  }
}

/** @throws GatewayError `unknown_model_pricing` where somebody must know */
function atMost(call: Routed, deps: Deps) {
  const { input, output } = boundOf(call, true)
  const price = deps.prices.priceOf(call.target.provider.id, call.target.model, call.receivedAtMs)
  const windows = windowsOf(call.principal, deps.kv, deps.clock.now())
  const need = needOf(call, windows, deps) ?? { lives: [], price, charge: null, mayWrite: true }
  const pico = Math.ceil(mostPico({ ...need, price }, { input, output }) * factorOf(need))
  return { tokens_at_most: { input, output }, cost_at_most_usd: price === null ? null : formatUsd(pico) }
}

async function standing(call: Asked, { kv, clock }: Deps) {
  const windows = windowsOf(call.principal, kv, clock.now())
  const lives = [...windows.requests, ...windows.paidUses, ...windows.softRequests, ...windows.softUses]
  const used = lives.length === 0 ? [] : await kv.read(lives, clock.now())
  return lives.map((live, at) => ({ live, used: used[at]!, text: textOf(live, used[at]!) }))
}

function textOf({ rule, limit, endMs }: Live, used: number) {
  const amount = (nano: number): number | string => (rule.what === 'spend' ? formatUsd(nano * 1000) : nano)
  return {
    of: rule.by === 'credits' ? 'credits' : rule.of,
    by: rule.by,
    what: rule.what,
    period: rule.period,
    hard: rule.hard,
    limit: amount(limit),
    used: amount(Math.min(used, Number.MAX_SAFE_INTEGER)),
    remaining: amount(Math.max(0, limit - used)),
    reset_at: endMs >= 8.64e15 ? null : new Date(endMs).toISOString(),
  }
}
