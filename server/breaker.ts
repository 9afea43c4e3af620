import type { AlertEvent } from '../db/model/alerts.ts'
import {
  type AccountState,
  enter,
  FAILURES,
  isBlocked,
  isOpened,
  MAX_REST_MS,
  type Probe,
  rest,
} from './breaker/account.ts'
import { type BookOptions, openBook } from './breaker/book.ts'
import { closedAfter, endOf, OPEN_MS, openedAfter } from './breaker/phase.ts'
import { PROBE_MS } from './breaker/shared.ts'
import { reasonOf } from './breaker/words.ts'
import type { AccountHealth, ProviderHealth } from './deps.ts'

export interface BreakerOptions extends BookOptions {
  /** Hears of each account that calls are kept away from; must not throw. */
  readonly raise?: (event: AlertEvent) => void
}

export interface OpenBreaker extends ProviderHealth {
  close(): void
}

/** Another instance has the probe: whether it still has is asked again after this. */
const ASK_AGAIN_MS = 5_000
/** When nothing else is left, an open account may be tried so often. */
const EARLY_MS = 2_000

/**
 * Keeps calls away from accounts at providers that fail: three failures in a row open an account for ten minutes, then
 * exactly one call over all instances may try it, whose success closes it everywhere. A key that is refused opens its
 * account at once. A provider that says when to come back is left alone until then and no longer.
 *
 * Instances say to each other what they open and close, and keep it in the kv for those who come later or didn't hear.
 * While the kv is away each goes by what it sees, with a probe of its own.
 */
export function openBreaker(options: BreakerOptions): OpenBreaker {
  const { clock, log } = options
  const book = openBook(options)

  function decide(one: AccountState, isLast: boolean): boolean | Promise<boolean> {
    const nowMs = clock.now()
    if (!isBlocked(one, nowMs)) return isOpened(one) ? askToProbe(one, nowMs) : true
    // A provider's limit may be of one model only: who has nothing else may ask.
    if (isLast && !isOpened(one)) return true
    const isFree = one.restUntilMs <= nowMs && (one.probe === null || one.probe.untilMs <= nowMs)
    return isLast && isFree ? askEarly(one, nowMs) : false
  }

  /** As `askToProbe`, before its time: one in EARLY_MS. */
  async function askEarly(one: AccountState, nowMs: number): Promise<boolean> {
    const { provider, account } = one
    const name = { provider, account, fromMs: Math.floor(nowMs / EARLY_MS) * EARLY_MS, window: 0 }
    const probe: Probe = { state: 'asking', isTaken: false, untilMs: nowMs + EARLY_MS, name, isEarly: true }
    one.probe = probe
    const answer = await book.takeProbe(name)
    if (one.probe !== probe) {
      if (answer === 'taken') book.giveProbeBack(name)
      return !isOpened(one)
    }
    probe.isTaken = answer === 'taken'
    probe.state = answer === 'refused' ? 'others' : 'mine'
    return answer !== 'refused'
  }

  /** Exactly one of all who ask, here and on other instances, may. */
  async function askToProbe(one: AccountState, nowMs: number): Promise<boolean> {
    const { provider, account } = one
    const fromMs = endOf(one.phase)
    const window = Math.floor((nowMs - fromMs) / PROBE_MS)
    const name = { provider, account, fromMs, window }
    const probe: Probe = { state: 'asking', isTaken: false, untilMs: fromMs + (window + 2) * PROBE_MS, name }
    one.probe = probe
    await book.look(one)
    // Another instance was faster, or it was reset.
    if (one.probe !== probe) return decide(one, false)
    const answer = await book.takeProbe(name)
    if (one.probe !== probe) {
      if (answer === 'taken') book.giveProbeBack(name)
      return decide(one, false)
    }
    probe.isTaken = answer === 'taken'
    probe.state = answer === 'refused' ? 'others' : 'mine'
    if (answer === 'refused') probe.untilMs = clock.now() + ASK_AGAIN_MS
    return answer !== 'refused'
  }

  function open(one: AccountState, forMs: number): void {
    const nowMs = clock.now()
    const { failures, fault, lastFailureMs: failedAtMs } = one
    enter(one, openedAfter(one.phase, nowMs + forMs), { nowMs, heard: { failures, fault, failedAtMs } })
    book.tell(one)
  }

  /** A failure that counts: opens it, when it was enough. */
  function count(one: AccountState, organizationId: string | null): void {
    one.failures++
    if (isOpened(one)) {
      // A call that left before it was opened says nothing new.
      if (one.probe?.state !== 'mine' || one.probe.isEarly === true) return
    } else if (one.fault !== 'account' && one.failures < FAILURES) return
    open(one, OPEN_MS)
    sayOpened(one, organizationId)
  }

  /** It is there, but wants no calls for now: no failure, or it would be away for long where a moment is enough. */
  function hold(one: AccountState, restMs: number): void {
    if (!isOpened(one)) {
      if (rest(one, restMs, clock.now())) book.tellRest(one)
    } else if (one.probe?.state === 'mine' && one.probe.isEarly !== true) open(one, Math.min(restMs, MAX_REST_MS))
  }

  function sayOpened({ provider, account, failures, fault }: AccountState, organizationId: string | null): void {
    log.warn('An account at a provider failed and gets no calls for a while', { provider, account, failures, fault })
    const of = { organizationId, provider }
    if (fault === 'account') return options.raise?.({ kind: 'credential_refused', ...of, credential: account })
    const why = fault === null ? '' : `, the last one: ${reasonOf(fault)}`
    const reason = `${failures} calls in a row with the account "${account}" failed${why}`
    options.raise?.({ kind: 'provider_down', ...of, reason })
  }

  async function accountHealth(provider: string, account: string): Promise<AccountHealth> {
    const one = book.of(provider, account)
    if (!one.isKnown) await book.look(one)
    const untilMs = Math.max(one.restUntilMs, isOpened(one) ? one.untilMs : 0)
    return {
      status: isOpened(one) ? 'unhealthy' : 'healthy',
      consecutiveFailures: one.failures,
      lastFailureMs: one.lastFailureMs,
      fault: one.fault,
      restsUntilMs: untilMs > clock.now() ? untilMs : null,
    }
  }

  return {
    mayTry(provider, account, isLast = false) {
      const one = book.of(provider, account)
      const looking = one.isKnown ? null : book.look(one)
      return looking === null ? decide(one, isLast) : looking.then(() => decide(one, isLast))
    },
    isOpen(provider, account) {
      const one = book.of(provider, account)
      if (!one.isKnown) void book.look(one)
      return isBlocked(one, clock.now())
    },
    succeeded(provider, account) {
      const one = book.find(provider, account)
      if (one === undefined) return
      if (!isOpened(one)) {
        one.failures = 0
        if (one.rests > 0 && one.restUntilMs <= clock.now()) one.rests = 0
      } else if (one.probe?.state === 'mine') {
        enter(one, closedAfter(one.phase), { nowMs: clock.now() })
        book.tell(one)
        log.info('An account at a provider answers again', { provider, account })
      }
    },
    failed(provider, account, fault, { restMs = 0, organizationId = null } = {}) {
      if (fault === 'caller' || fault === 'model') return
      const one = book.of(provider, account)
      one.lastFailureMs = clock.now()
      one.fault = fault
      if (fault === 'overload' && restMs > 0) hold(one, restMs)
      else count(one, organizationId)
    },
    released(provider, account) {
      const one = book.find(provider, account)
      const probe = one?.probe
      if (one === undefined || probe?.state !== 'mine') return
      one.probe = null
      if (probe.isTaken) book.giveProbeBack(probe.name)
      book.tellFree(one)
    },
    accountHealth,
    async health(provider, accounts) {
      const all = await Promise.all(accounts.map((account) => accountHealth(provider, account)))
      const times = all.flatMap(({ lastFailureMs }) => (lastFailureMs === null ? [] : [lastFailureMs]))
      return {
        status: all.length > 0 && all.every(({ status }) => status === 'unhealthy') ? 'unhealthy' : 'healthy',
        consecutiveFailures: all.length === 0 ? 0 : Math.min(...all.map((one) => one.consecutiveFailures)),
        lastFailureMs: times.length === 0 ? null : Math.max(...times),
      }
    },
    reset(provider, account) {
      log.info('Accounts at providers get calls again: they were reset', { provider, account })
      book.reset(provider, account)
    },
    close: book.close,
  }
}
