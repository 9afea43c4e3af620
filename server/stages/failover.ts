import {
  type Answered,
  type Prepared,
  type Routed,
  retarget,
  type StreamSource,
  type Target,
  type WholeAnswer,
} from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'
import { apart } from '../routing/apart.ts'
import { type Beside, Course, Resting } from '../routing/course.ts'

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
