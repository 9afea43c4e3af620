import type { Answered, Call, Ending, Received, Settled, StreamSource, WholeAnswer } from './call.ts'
import type { Deps } from './deps.ts'
import { asGatewayError, GatewayError } from './errors.ts'
import { CallerGone, nonsense } from './failure.ts'
import type { Reply } from './http.ts'
import { admit, RateLimited } from './stages/admit.ts'
import { authenticate } from './stages/authenticate.ts'
import { dispatch } from './stages/dispatch.ts'
import { record, settle } from './stages/meter.ts'
import { prepare } from './stages/prepare.ts'
import { read } from './stages/read.ts'
import { relay } from './stages/relay.ts'
import { respondError, respondStream, respondWhole } from './stages/respond.ts'
import { route } from './stages/route.ts'
import type { Answer } from './wire/wire.ts'

/** Who holds a request's key: all that endpoints which call no model need of the line. */
export { principalOf } from './stages/authenticate.ts'

/** The story of a call: in one end as bytes, out of the other as bytes, settled exactly once on the way. */
export async function answer(received: Received, deps: Deps): Promise<Reply> {
  try {
    const known = await authenticate(received, deps)
    const asked = await read(known, deps)
    const admitted = await admit(asked, deps)
    const routed = route(admitted, deps)
    const answered = await dispatch(prepare(routed, deps), deps)
    return isStream(answered) ? stream(answered, deps) : await whole(answered, answered.answer as WholeAnswer, deps)
  } catch (thrown) {
    return refuse(received, thrown, deps)
  }
}

function isStream(call: Answered): call is Answered & { readonly answer: StreamSource } {
  return call.answer.kind === 'stream'
}

function stream(call: Answered & { readonly answer: StreamSource }, deps: Deps): Reply {
  const metering = {
    settle: (settledCall: Answered, ending: Ending) => settle(settledCall, ending, deps),
    record: (settled: Settled, written: () => void) => recordOrSay(settled, deps, written),
  }
  return respondStream(call, relay(call, deps, metering), deps)
}

async function whole(call: Answered, given: WholeAnswer, deps: Deps): Promise<Reply> {
  const read = readAnswer(call, given)
  const ending = { outcome: 'done', status: 200, errorCode: null, metered: read } as const
  const settled = settle(call, { ...ending, providerEndedAt: given.endedAt }, deps)!
  await recorded(settled, deps)
  return respondWhole(call, settled, read.withAdditions(call.options.additions ? settled.additions : null))
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

function readAnswer(call: Answered, given: WholeAnswer): Answer {
  try {
    return call.target.wire.readAnswer(given.bytes, call.ask)
  } catch (error) {
    throw nonsense(call.target.provider.name, (error as Error).message)
  }
}

/** Every exit but the good ones: the error in the caller's face, and a record of it when there is a key to file it under. */
async function refuse(call: Call, thrown: unknown, deps: Deps): Promise<Reply> {
  const gone = thrown instanceof CallerGone
  const error = gone
    ? new GatewayError('invalid_request', 'The caller went away', { status: 499 })
    : asGatewayError(thrown)
  const settled = settle(
    call,
    {
      outcome: gone ? 'aborted' : 'error',
      status: error.status,
      errorCode: gone ? null : error.code,
      metered: null,
      providerEndedAt: deps.clock.monotonic(),
    },
    deps,
  )
  if (error.status >= 500) deps.log.warn('A call failed', { request: call.id, code: error.code, cause: error.cause })
  if (settled !== null) await new Promise<void>((written) => recordOrSay(settled, deps, written))
  return respondError(call, error, { settled, rate: thrown instanceof RateLimited ? thrown.rate : null })
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
