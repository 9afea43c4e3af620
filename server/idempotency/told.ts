import { mayUse } from '../../db/model/key-rules.ts'
import type { Admitted, Call, Ending, Settled } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'
import type { Reply, Sink } from '../http.ts'
import { latin1 } from '../wire/bytes.ts'
import type { ByteText } from '../wire/wire.ts'
import { Broadcast } from './broadcast.ts'

/** The steps of the line that this needs, handed in by the pipeline. */
export interface Steps {
  /** The rest of the line. */
  carryOn(call: Admitted, deps: Deps): Promise<Reply>
  settle(call: Call, ending: Ending, deps: Deps): Settled | null
  /** @throws GatewayError when nothing can be recorded */
  recorded(settled: Settled, deps: Deps): Promise<void>
  record(settled: Settled, deps: Deps, written: () => void): void
  respondReplay(call: Call, settled: Settled | null, replay: Replay): Reply
}

export interface Parts {
  readonly deps: Deps
  readonly steps: Steps
}

/** An answer that was given to another request. */
export interface Replay {
  /** Whose it was, `req_…`. */
  readonly requestId: string
  readonly provider: string | null
  readonly model: string | null
  readonly contentType: string
  /** Other headers. Those that belong to the answer rather than to its request: name, value, name, value. */
  readonly headers: readonly string[]
}

/** What everybody who waits for a call gets. */
export interface Told extends Replay {
  readonly body: ByteText | Broadcast
  /** Of a stream, where it is known, in bytes. */
  readonly length: number | null
}

/** Headers of the answer. All others are of a request: its id, its time, its limits, its cost. */
const OF_ANSWER: ReadonlySet<string> = new Set([
  'x-content-type-options',
  'cache-control',
  'x-accel-buffering',
  'x-watchllm-provider',
  'x-watchllm-model',
  'x-watchllm-adapted',
])

/** A call's answer as the others get it. */
export function toldBy(call: Call, reply: Reply, stream: Broadcast | null): Told {
  const { headers, body, length = null } = reply
  const kept: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    if (OF_ANSWER.has(headers[at]!)) kept.push(headers[at]!, headers[at + 1]!)
  }
  return {
    requestId: call.id,
    provider: call.target?.provider.id ?? null,
    model: call.target?.model ?? null,
    contentType: headers[headers.indexOf('content-type') + 1]!,
    headers: kept,
    body: stream ?? (typeof body === 'string' ? body : latin1(body as Uint8Array)),
    length,
  }
}

/**
 * Gives a request the answer of another: a call of its own in the log, which has used nothing and costs nothing.
 * @throws GatewayError `model_not_allowed` where its key may not use what has answered
 */
export async function retell(call: Admitted, told: Told, parts: Parts): Promise<Reply> {
  const { deps, steps } = parts
  requireModel(call, told)
  const { body, length } = told
  if (body instanceof Broadcast) {
    if (!body.isWhole) throw notKept(told.requestId)
    const reply = steps.respondReplay(call, null, told)
    const follow = (sink: Sink) => void new Listener(call, sink, { told, stream: body, parts })
    return { ...reply, body: follow, ...(length === null ? {} : { length }) }
  }
  const settled = steps.settle(call, { ...NOTHING_USED, outcome: 'done', errorCode: null }, deps)
  if (settled === null) throw new CallerGone()
  const replayed = asReplay(settled, told)
  await steps.recorded(replayed, deps)
  return { ...steps.respondReplay(call, replayed, told), body }
}

const NOTHING_USED = { status: 200, metered: null, providerEndedAt: null } as const

function requireModel({ principal }: Admitted, { provider, model }: Told): void {
  if (provider === null || model === null || model === '' || mayUse(principal.rules, provider, model)) return
  throw new GatewayError(
    'model_not_allowed',
    `This key may not use the model "${model.slice(0, 128)}" of ${provider}`,
    {
      param: 'model',
    },
  )
}

/** The row of a replay says who answered, and which call of ours that was. */
function asReplay(settled: Settled, { requestId, provider, model }: Replay): Settled {
  return { ...settled, record: { ...settled.record, provider, model, route: 'replay', upstreamId: requestId } }
}

/** One who follows another's stream while it comes. */
class Listener implements Sink {
  readonly #call: Admitted
  readonly #sink: Sink
  readonly #told: Told
  readonly #stream: Broadcast
  readonly #parts: Parts
  #isOver = false

  constructor(call: Admitted, sink: Sink, { told, stream, parts }: { told: Told; stream: Broadcast; parts: Parts }) {
    this.#call = call
    this.#sink = sink
    this.#told = told
    this.#stream = stream
    this.#parts = parts
    call.incoming.onGone(() => this.#gone())
    stream.follow(this)
  }

  write(chunk: Uint8Array): boolean {
    return this.#isOver || this.#sink.write(chunk)
  }

  onDrain(callback: () => void): void {
    this.#sink.onDrain(callback)
  }

  end(last?: Uint8Array): void {
    const { outcome = 'cut', errorCode = null } = this.#stream.ending ?? {}
    this.#settle({ ...NOTHING_USED, outcome, errorCode }, () => this.#sink.end(last))
  }

  cut(): void {
    const { errorCode = null } = this.#stream.ending ?? {}
    this.#settle({ ...NOTHING_USED, outcome: 'cut', errorCode }, () => this.#sink.cut?.())
  }

  #gone(): void {
    this.#stream.leave(this)
    this.#settle({ ...NOTHING_USED, outcome: 'aborted', errorCode: null }, () => {})
  }

  #settle(ending: Ending, written: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    const { deps, steps } = this.#parts
    const settled = steps.settle(this.#call, ending, deps)
    if (settled === null) return written()
    steps.record(asReplay(settled, this.#told), deps, written)
  }
}

/** The call was made and billed: to make it again unasked would bill it twice. */
export function notKept(requestId: string): GatewayError {
  const what = 'The call with this idempotency key was made, but its answer is too large to be given again'
  return new GatewayError('idempotency_conflict', `${what}: use a new key to make another call`, {
    details: { request_id: requestId },
  })
}
