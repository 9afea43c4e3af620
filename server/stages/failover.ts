import type { Fault, Try } from '../../db/model/tries.ts'
import { type Answered, grow, type Prepared, type Routed, retarget, type StreamSource, type Target } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'

/** The stages that each try goes through, handed in by the pipeline. */
export interface Steps {
  /** Gives what the call holds back: it is held anew for another target. */
  giveBack(call: Routed): void
  reserve(call: Routed): Routed | Promise<Routed>
  prepare(call: Routed): Prepared
  dispatch(call: Prepared): Promise<Answered>
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
    if (prepared !== null && (await mayTry(target, deps))) {
      const began = deps.clock.monotonic()
      try {
        const answered = await attempt(prepared, steps, deps)
        deps.breaker?.succeeded(target.provider.id, target.account.id)
        const { timing } = answered
        deps.speeds?.note(target.provider.id, target.model, timing.firstByteAt - timing.sentAt)
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
  const { answer } = answered
  const isLast = call.targets.length === 1 && settings.retries === 0
  if (answer.kind === 'whole' || isLast) return answered
  return steps.hold(answered as Answered & { readonly answer: StreamSource })
}

function mayTry({ provider, account }: Target, { breaker }: Deps): boolean | Promise<boolean> {
  if (breaker === undefined || provider.inProcess !== undefined) return true
  return breaker.mayTry(provider.id, account.id)
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

  constructor(call: Prepared, deps: Deps) {
    this.#call = call
    this.#deps = deps
    this.#queue = [...call.targets]
  }

  get target(): Target {
    return this.#queue[this.#at]!
  }

  /** The target did not answer. @throws what nobody else can mend */
  failed(thrown: unknown, ms: number): void {
    const { breaker } = this.#deps
    const { provider, account } = this.target
    const fault = thrown instanceof GatewayError ? thrown.fault : null
    if (fault === null) {
      breaker?.released(provider.id, account.id)
      throw thrown
    }
    const error = thrown as GatewayError
    if (BLAMELESS.has(fault)) breaker?.succeeded(provider.id, account.id)
    else breaker?.failed(provider.id, account.id, fault)
    this.#note(fault, ms, error)
    if (fault === 'caller') throw error
    this.#error = error
    const waitMs = (error.retryAfter ?? 0) * 1000
    const times = this.#queue.filter((one) => one === this.target).length
    if (!PASSING.has(fault) || times > this.#deps.settings.retries || waitMs > LONGEST_WAIT_MS) return
    this.#queue.push(this.target)
    this.#askedToWaitMs = Math.max(this.#askedToWaitMs, waitMs)
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
    this.#at++
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

  #note(fault: Fault, ms: number, error: GatewayError): void {
    const { provider, account, model } = this.target
    const status = error.details?.provider_status
    const one: Try = {
      provider: provider.id,
      account: account.id,
      model,
      fault,
      status: typeof status === 'number' ? status : null,
      ms: Math.round(ms * 10) / 10,
    }
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
