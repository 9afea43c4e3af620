import type {
  Admitted,
  Answered,
  Call,
  Ending,
  Keeping,
  Prepared,
  Received,
  Routed,
  Settled,
  StreamSource,
  WholeAnswer,
} from './call.ts'
import type { Deps } from './deps.ts'
import { asGatewayError, GatewayError } from './errors.ts'
import { CallerGone, nonsense } from './failure.ts'
import type { Reply, StreamBody } from './http.ts'
import { admit } from './stages/admit.ts'
import { authenticate } from './stages/authenticate.ts'
import { BackgroundJob } from './stages/background.ts'
import { dispatch } from './stages/dispatch.ts'
import { failover } from './stages/failover.ts'
import { gather, partsOf } from './stages/gather.ts'
import { hold } from './stages/hold.ts'
import { once } from './stages/idempotency.ts'
import { failedInBackground, keepStream, keepWhole, startedInBackground, warmedUp } from './stages/keep.ts'
import { record, settle, settleFree } from './stages/meter.ts'
import { own } from './stages/own.ts'
import { prepare } from './stages/prepare.ts'
import { read } from './stages/read.ts'
import { recall } from './stages/recall.ts'
import { relay } from './stages/relay.ts'
import { giveBack, reserve } from './stages/reserve.ts'
import { respondBackground, respondError, respondReplay, respondStream, respondWhole } from './stages/respond.ts'
import { route } from './stages/route.ts'
import { refusedEarly, type Simulation, simulated } from './stages/simulate.ts'
import type { Ask } from './wire/wire.ts'

/** Who holds a request's key, and its body: all that endpoints which call no model need of the line. */
export { principalOf } from './stages/authenticate.ts'
/** Responses that run in the background of this process. */
export { DEAD_MS, jobOf } from './stages/background.ts'
/** A call that only shows whether an account is good. */
export { type Probed, probe } from './stages/probe.ts'
export { readBody } from './stages/read.ts'

/** The story of a call: in one end as bytes, out of the other as bytes, settled exactly once on the way. */
export async function answer(received: Received, deps: Deps): Promise<Reply> {
  try {
    const known = await authenticate(received, deps)
    const asked = await read(known, deps)
    const admitted = await admit(asked, deps)
    return await (once(admitted, deps, STEPS) ?? carryOn(admitted, deps))
  } catch (thrown) {
    return refuse(received, thrown, deps)
  }
}

/** What of the line the answers take that several requests get. */
const STEPS = { carryOn, settle: settleFree, recorded, record: recordOrSay, respondReplay }

/** What a request would do: the line up to its targets, without taking anything. @throws GatewayError for a bad key or body */
export async function simulate(received: Received, deps: Deps): Promise<Simulation> {
  const known = await authenticate(received, deps)
  try {
    const asked = await read(known, deps)
    return await targetsOf({ ...asked, rate: null }, deps)
  } finally {
    known.place?.leave('done')
  }
}

async function targetsOf(admitted: Admitted, deps: Deps): Promise<Simulation> {
  try {
    return await simulated(route(admitted, deps), (call) => prepare(call, deps), deps)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return refusedEarly(thrown)
    throw thrown
  }
}

/** The rest of the line: the call is made, unless its answer is there already. */
async function carryOn(admitted: Admitted, deps: Deps): Promise<Reply> {
  const recalled = admitted.service.keeps === true ? await recall(admitted, deps) : admitted
  if (keeps(recalled) && recalled.keeping.warmUp) {
    recalled.place?.leave('done')
    return respondBackground(recalled, warmedUp(recalled))
  }
  const owned = own(route(recalled, deps), deps)
  const reserved = reserve(owned instanceof Promise ? await owned : owned, deps)
  const routed = reserved instanceof Promise ? await reserved : reserved
  if (routed.keeping?.background) return await detach(prepare(routed, deps), deps)
  const parts = partsOf(routed)
  const answered = parts === null ? await ask(prepare(routed, deps), deps) : await inParts(routed, parts, deps)
  return isStream(answered) ? stream(answered, deps) : await whole(answered, answered.answer as WholeAnswer, deps)
}

/** Asks one target after the other, until one answers. */
function ask(prepared: Prepared, deps: Deps): Promise<Answered> {
  const steps = {
    giveBack: (call: Routed) => giveBack(call, deps),
    reserve: (call: Routed) => reserve(call, deps),
    prepare: (call: Routed) => prepare(call, deps),
    dispatch: (call: Prepared) => dispatch(call, deps),
    read: readAnswer,
    hold: (call: Answered & { readonly answer: StreamSource }) => hold(call, deps),
  }
  return failover(prepared, steps, deps)
}

/** For requests with more inputs than their provider takes at a time. */
function inParts(routed: Routed, parts: readonly Ask[], deps: Deps): Promise<Answered> {
  const exchange = {
    prepare: (part: Routed) => prepare(part, deps),
    // Numbers of different models mean nothing to each other: all parts go to one target.
    dispatch: (part: Prepared) => ask({ ...part, targets: [part.target] }, deps),
  }
  return gather(routed, { parts, exchange }, deps)
}

function isStream(call: Answered): call is Answered & { readonly answer: StreamSource } {
  return call.answer.kind === 'stream'
}

function stream(call: Answered & { readonly answer: StreamSource }, deps: Deps): Reply {
  const metering = {
    settle: (settledCall: Answered, ending: Ending) => {
      settledCall.sharing?.ended(ending)
      return settle(settledCall, ending, deps)
    },
    record: (settled: Settled, written: () => void) => recordOrSay(settled, deps, written),
  }
  const body = relay(call, deps, metering)
  return respondStream(call, keeps(call) ? keepStream(call, body, deps) : body, deps)
}

/** Something of the answer is to be kept. */
function keeps<C extends Admitted>(call: C): call is C & { readonly keeping: Keeping } {
  return call.keeping !== undefined
}

/** The caller is answered at once; its call goes on without it, down the same line. */
async function detach(prepared: Prepared, deps: Deps): Promise<Reply> {
  const call = prepared as Prepared & { readonly keeping: Keeping }
  const started = await startedInBackground(call, deps)
  const job = new BackgroundJob(call, deps)
  void runDetached(call, job, deps)
  return respondBackground(call, call.ask.stream ? (sink) => job.follow(sink, -1) : started)
}

async function runDetached(
  call: Prepared & { readonly keeping: Keeping },
  job: BackgroundJob,
  deps: Deps,
): Promise<void> {
  try {
    const answered = await ask(call, deps)
    if (isStream(answered)) return (stream(answered, deps).body as StreamBody)(job.sink)
    await whole(answered, answered.answer as WholeAnswer, deps)
  } catch (thrown) {
    await refuse(call, thrown, deps)
    await failedInBackground(call, asGatewayError(thrown), deps)
  }
  job.end()
}

async function whole(call: Answered, given: WholeAnswer, deps: Deps): Promise<Reply> {
  const read = given.read!
  const ending = { outcome: 'done', status: 200, errorCode: null, metered: read } as const
  const closing = settle(call, { ...ending, providerEndedAt: given.endedAt }, deps)!
  const settled = closing instanceof Promise ? await closing : closing
  await recorded(settled, deps)
  const body = read.withAdditions(call.options.additions ? settled.additions : null)
  const kept = keeps(call) ? await keepWhole(call, body, deps) : body
  return respondWhole(call, settled, call.service.finish?.(kept, call.id) ?? kept)
}

/** @throws GatewayError when the disk takes nothing and memory is full: an answer that nobody could bill is not given */
async function recorded(settled: Settled, deps: Deps): Promise<void> {
  try {
    await new Promise<void>((written) => record(settled, deps, written))
  } catch (cause) {
    deps.log.error('A call could not be recorded', { record: settled.record, cause })
    throw new GatewayError('service_unavailable', 'This call can not be recorded right now; try again shortly', {
      retryAfter: 5,
      cause,
    })
  }
}

function readAnswer(call: Answered & { readonly answer: WholeAnswer }): Answered {
  const { answer, target } = call
  const { wire } = target
  try {
    const read =
      wire.pass === undefined
        ? wire.readAnswer(answer.bytes, call.ask)
        : wire.pass.readAnswer(answer.bytes, answer.contentType ?? null)
    Object.assign(answer, { read })
    return call
  } catch (error) {
    throw nonsense(target.provider.name, (error as Error).message)
  }
}

/** Every exit but the good ones: the error in the caller's face, and a record of it when there is a key to file it under. */
async function refuse(call: Call, thrown: unknown, deps: Deps): Promise<Reply> {
  const gone = thrown instanceof CallerGone
  const error = gone
    ? new GatewayError('invalid_request', 'The caller went away', { status: 499 })
    : asGatewayError(thrown)
  const settled = await settle(
    call,
    {
      outcome: gone ? 'aborted' : 'error',
      status: error.status,
      errorCode: gone ? null : error.code,
      metered: call.spent ?? null,
      providerEndedAt: deps.clock.monotonic(),
    },
    deps,
  )
  // Calls that were kept out are told of all together (overload.ts).
  const isOurs = call.principal !== undefined || error.cause !== undefined
  if (error.status >= 500 && isOurs)
    deps.log.warn('A call failed', { request: call.id, code: error.code, cause: error.cause })
  if (settled !== null) await new Promise<void>((written) => recordOrSay(settled, deps, written))
  return respondError(call, error, settled)
}

/** For exits that can't refuse any more: when the journal is full the record goes to the log, and the call goes on. */
function recordOrSay(settled: Settled, deps: Deps, written: () => void): void {
  try {
    record(settled, deps, written)
  } catch (error) {
    deps.log.error('A call could not be recorded', { record: settled.record, cause: error })
    written()
  }
}
