import type { Fault, Try } from '../../db/model/tries.ts'
import { dropAnswer, grow, type Prepared, type Target } from '../call.ts'
import type { Account, Deps, FailureFacts } from '../deps.ts'
import { GatewayError } from '../errors.ts'

/** The first wait before a target is asked again; each further one is twice as long, and all are spread by chance. */
const FIRST_WAIT_MS = 250
/** A provider that asks for more than this isn't waited for: the caller is told instead. */
const LONGEST_WAIT_MS = 5_000

/** What callers are told when all that could answer are resting. */
const RESTING_S = 10

/** Faults that may be gone in a moment. */
const PASSING: ReadonlySet<Fault> = new Set(['overload', 'provider', 'network'])
/** Faults that say nothing of the account or its provider. */
const BLAMELESS: ReadonlySet<Fault> = new Set(['caller', 'model'])

/** A second target, asked when the first hasn't answered by then. */
export interface Beside {
  readonly target: Target
  readonly afterMs: number
}

interface Noted {
  readonly target: Pick<Target, 'provider' | 'account' | 'model'>
  readonly fault: Try['fault']
  readonly ms: number
  readonly status?: number | null
}

/** A target that is to be asked beside another is given a rest: nobody was asked. */
export class Resting extends Error {}

/** Where a call stands among its targets, and what is told of those that didn't answer. */
export class Course {
  readonly #call: Prepared
  readonly #deps: Deps
  /** The call's targets, and behind them those that are asked again. */
  readonly #queue: Target[]
  #at = 0
  #waitMs = FIRST_WAIT_MS
  #askedToWaitMs = 0
  #error: Error | null = null
  /** The next one was asked beside this one. */
  #isTaken = false

  constructor(call: Prepared, deps: Deps) {
    this.#call = call
    this.#deps = deps
    this.#queue = [...call.targets]
  }

  /** No other target is left that wasn't asked. */
  get isLast(): boolean {
    return this.#at >= this.#call.targets.length - 1
  }

  get target(): Target {
    return this.#queue[this.#at]!
  }

  /** The next target, where the key wants it asked beside a slow one; null: it doesn't, or there is none. */
  beside(): Beside | null {
    const afterMs = this.#call.principal.rules?.routing?.hedgeAfterMs ?? 0
    const target = this.#queue[this.#at + 1]
    if (afterMs === 0 || target === undefined || target === this.target || this.#isTaken) return null
    return { target, afterMs }
  }

  /** The next target is asked now, beside this one. */
  take(): void {
    this.#isTaken = true
  }

  /** A target did not answer. */
  told(thrown: unknown, { provider, account, model }: Target, ms: number): Fault | null {
    if (thrown instanceof Resting) return null
    const breaker = provider.inProcess === undefined ? this.#deps.breaker : undefined
    if (!(thrown instanceof GatewayError) || thrown.fault === null) {
      breaker?.released(provider.id, account.id)
      return null
    }
    const { fault } = thrown
    if (BLAMELESS.has(fault)) breaker?.succeeded(provider.id, account.id)
    else breaker?.failed(provider.id, account.id, fault, this.#factsOf(thrown, account))
    const status = thrown.details?.provider_status
    this.note({ target: { provider, account, model }, fault, ms, status: typeof status === 'number' ? status : null })
    return fault
  }

  /** This target did not answer. @throws what nobody else can mend */
  failed(thrown: unknown, ms: number): void {
    dropAnswer(this.#call)
    const fault = this.told(thrown, this.target, ms)
    if (fault === null) throw thrown
    const error = thrown as GatewayError
    if (fault === 'caller') throw error
    this.#error = error
    const waitMs = (error.retryAfter ?? 0) * 1000
    const times = this.#queue.filter((one) => one === this.target).length
    if (!PASSING.has(fault) || times > this.#deps.settings.retries || waitMs > LONGEST_WAIT_MS) return
    this.#queue.push(this.target)
    this.#askedToWaitMs = Math.max(this.#askedToWaitMs, waitMs)
  }

  #factsOf({ fault, retryAfter }: GatewayError, account: Account): FailureFacts {
    const organizationId = account.own ? this.#call.principal.organizationId : null
    return { restMs: fault === 'overload' ? (retryAfter ?? 0) * 1000 : 0, organizationId }
  }

  /** The target's breaker is open. */
  closed(): void {
    const { provider } = this.target
    this.#error ??= new GatewayError('provider_error', `${provider.name} failed too often and is given a rest`, {
      details: { provider: provider.id },
      status: 503,
      retryAfter: RESTING_S,
    })
  }

  /** The target can't be asked this, or not be paid. */
  unfit(error: GatewayError): void {
    this.#error ??= error
  }

  /** On to the next target. @returns how long to wait before it is asked; @throws what happened, when there is none */
  next(): number {
    this.#at += this.#isTaken ? 2 : 1
    this.#isTaken = false
    if (this.#at >= this.#queue.length) throw this.#error
    if (this.#at < this.#call.targets.length) return 0
    const spread = 0.5 + this.#deps.random.bytes(1)[0]! / 256
    const waitMs = Math.max(this.#askedToWaitMs, this.#waitMs * spread)
    this.#waitMs *= 2
    this.#askedToWaitMs = 0
    const deadline = this.#call.startedAt + this.#deps.settings.totalTimeoutMs
    if (this.#deps.clock.monotonic() + waitMs >= deadline) throw this.#error
    return waitMs
  }

  note({ target, fault, ms, status = null }: Noted): void {
    const { provider, account, model } = target
    // Its answer is not known: who is first to ask next may probe it.
    if (fault === 'outrun') this.#deps.breaker?.released(provider.id, account.id)
    const one: Try = { provider: provider.id, account: account.id, model, fault, status, ms: Math.round(ms * 10) / 10 }
    grow(this.#call, { tries: [...(this.#call.tries ?? []), one] })
  }
}
