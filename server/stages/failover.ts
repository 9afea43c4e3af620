import type { Fault, Try } from '../../db/model/tries.ts'
import {
  type Answered,
  dropAnswer,
  grow,
  type Prepared,
  type Routed,
  retarget,
  type StreamSource,
  type Target,
  type WholeAnswer,
} from '../call.ts'
import type { Account, Deps, FailureFacts } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'
import { apart } from '../routing/apart.ts'

/** The stages that each try goes through, handed in by the pipeline. */
export interface Steps {
  /** Gives what the call holds back: it is held anew for another target. */
  giveBack(call: Routed): void
  reserve(call: Routed): Routed | Promise<Routed>
  prepare(call: Routed): Prepared
  dispatch(call: Prepared): Promise<Answered>
  /** Reads a whole answer. @throws GatewayError when it is none */
  read(call: Answered & { readonly answer: WholeAnswer }): Answered
  hold(call: Answered & { readonly answer: StreamSource }): Promise<Answered>
}

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

/**
 * Tries the call's targets in their order until one answers: what one can't do, the next may. When none could, those whose
 * fault may be over by then are asked again, after a wait, as often as the settings allow. A stream counts as answered
 * from its first content on; nothing is tried after that.
 * @param call prepared for its first target
 * @throws GatewayError the caller's own mistake at once, else what the last target did; CallerGone
 */
export async function failover(call: Prepared, steps: Steps, deps: Deps): Promise<Answered> {
  const course = new Course(call, deps)
  let prepared: Prepared | null = call
  for (;;) {
    const { target } = course
    if (prepared !== null && (await mayTry(target, course.isLast, deps))) {
      const began = deps.clock.monotonic()
      try {
        const beside = course.beside()
        const answered = await (beside === null
          ? attempt(prepared, steps, deps)
          : hedge(prepared, { beside, course, steps, deps }))
        const { timing, target: by } = answered
        if (by.provider.inProcess === undefined) deps.breaker?.succeeded(by.provider.id, by.account.id)
        deps.speeds?.note(by.provider.id, by.model, timing.firstByteAt - timing.sentAt)
        return answered
      } catch (thrown) {
        course.failed(thrown, deps.clock.monotonic() - began)
      }
    } else if (prepared !== null) course.closed()
    const waitMs = course.next()
    if (waitMs > 0) await pause(call, waitMs, deps)
    prepared = await turn(call, course, { steps, deps })
  }
}

async function attempt(call: Prepared, steps: Steps, { settings }: Deps): Promise<Answered> {
  const answered = await steps.dispatch(call)
  if (answered.answer.kind === 'whole') return steps.read(answered as Answered & { readonly answer: WholeAnswer })
  if (call.targets.length === 1 && settings.retries === 0) return answered
  return steps.hold(answered as Answered & { readonly answer: StreamSource })
}

/** A second target, asked when the first hasn't answered by then. */
interface Beside {
  readonly target: Target
  readonly afterMs: number
}

interface Hedging {
  readonly beside: Beside
  readonly course: Course
  readonly steps: Steps
  readonly deps: Deps
}

/**
 * Takes the answer that comes first; the other is given up, and what it held is given back.
 * @throws what the first did, when neither answers
 */
function hedge(call: Prepared, { beside, course, steps, deps }: Hedging): Promise<Answered> {
  const { promise, resolve, reject } = withResolvers<Answered>()
  const startedAt = deps.clock.monotonic()
  const first = apart(call)
  const second = apart(call)
  let running = 1
  let isWon = false
  let firstError: unknown = null
  const timer = deps.clock.timer(beside.afterMs, () => {
    running++
    course.take()
    const { target } = beside
    void askBeside(second.call, target, { steps, deps }).then(
      (answered) => {
        if (isWon) return steps.giveBack(second.call)
        isWon = true
        first.leave()
        if (firstError === null)
          course.note({ target: call.target, fault: 'outrun', ms: deps.clock.monotonic() - startedAt })
        else course.told(firstError, call.target, deps.clock.monotonic() - startedAt)
        steps.giveBack(call)
        resolve(Object.assign(retarget(call, target), bare(answered)))
      },
      (thrown: unknown) => {
        steps.giveBack(second.call)
        if (isWon) return
        course.told(thrown, target, deps.clock.monotonic() - startedAt - beside.afterMs)
        if (--running === 0) reject(firstError)
      },
    )
  })
  attempt(first.call, steps, deps).then(
    (answered) => {
      if (isWon) return
      isWon = true
      timer.cancel()
      second.leave()
      const ms = deps.clock.monotonic() - startedAt - beside.afterMs
      if (running === 2) course.note({ target: beside.target, fault: 'outrun', ms })
      resolve(Object.assign(call, bare(answered)))
    },
    (thrown: unknown) => {
      firstError = thrown
      if (isWon || --running > 0) return
      timer.cancel()
      reject(thrown)
    },
  )
  return promise
}

/** What an answered copy of a call has that the call lacks. */
function bare(answered: Answered): Omit<Answered, 'incoming'> {
  const { incoming: _, tries: __, ...own } = answered
  return own
}

/** A target that is asked beside another is given a rest: nobody was asked. */
class Resting extends Error {}

async function askBeside(
  call: Prepared,
  target: Target,
  { steps, deps }: { steps: Steps; deps: Deps },
): Promise<Answered> {
  const reserved = await steps.reserve(retarget(call, target))
  if (!(await mayTry(target, false, deps))) throw new Resting()
  return attempt(steps.prepare(reserved), steps, deps)
}

function withResolvers<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

function mayTry({ provider, account }: Target, isLast: boolean, { breaker }: Deps): boolean | Promise<boolean> {
  if (breaker === undefined || provider.inProcess !== undefined) return true
  return breaker.mayTry(provider.id, account.id, isLast)
}

/** The call made ready for the course's target; null: that one can't be asked this. */
async function turn(
  call: Prepared,
  course: Course,
  { steps, deps }: { readonly steps: Steps; readonly deps: Deps },
): Promise<Prepared | null> {
  const { target } = course
  if (call.target === target) return call
  try {
    steps.giveBack(call)
    return steps.prepare(await steps.reserve(retarget(call, target)))
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    deps.log.info('A target could not be asked', { request: call.id, provider: target.provider.id, code: thrown.code })
    course.unfit(thrown)
    return null
  }
}

interface Noted {
  readonly target: Pick<Target, 'provider' | 'account' | 'model'>
  readonly fault: Try['fault']
  readonly ms: number
  readonly status?: number | null
}

/** Where a call stands among its targets. */
class Course {
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

/** @throws CallerGone when its caller leaves meanwhile */
function pause({ incoming }: Prepared, ms: number, { clock }: Deps): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.timer(ms, resolve)
    incoming.onGone(() => {
      timer.cancel()
      reject(new CallerGone())
    })
  })
}
