import type { Call } from '../call.ts'
import type { BodyTake, Deps } from '../deps.ts'
import type { Incoming, Reply, Sink } from '../http.ts'
import { fromLatin1 } from '../wire/bytes.ts'

/**
 * The reply as it is, and where the call's project has bodies kept, taken as its caller gets it.
 * @param incoming whose the call is: the call's own may stand for several by now
 */
export function logBodies(
  call: Call,
  reply: Reply,
  { incoming, deps }: { readonly incoming: Incoming; readonly deps: Deps },
): Reply {
  // Nearly always: only calls whose project has bodies kept have it.
  if (call.sent === undefined) return reply
  const take = takeOf(call, deps)
  if (take === null) return reply
  const { body, headers } = reply
  const type = headers[headers.indexOf('content-type') + 1] ?? null
  if (typeof body === 'function') {
    incoming.onGone(() => take.end(type))
    return { ...reply, body: (sink) => body(new TakingSink(sink, take, type)) }
  }
  take.push(typeof body === 'string' ? fromLatin1(body) : body)
  take.end(type)
  return reply
}

/** Null: nothing is kept of it, since nobody wants it or it was refused before it was read. */
function takeOf({ id, receivedAtMs, principal, service, ask, pinned, sent, incoming }: Call, deps: Deps) {
  const rules = principal?.rules?.bodies ?? null
  if (rules === null || deps.bodies === undefined || sent === undefined) return null
  const { projectId, organizationId } = principal!
  const facts = {
    callId: id,
    projectId,
    organizationId,
    createdAtMs: receivedAtMs,
    endpoint: service.name,
    model: ask?.model ?? '',
    pinned,
    stream: ask?.stream ?? false,
  }
  return deps.bodies.take(facts, { bytes: sent, contentType: incoming.header('content-type') }, rules)
}

class TakingSink implements Sink {
  readonly #sink: Sink
  readonly #take: BodyTake
  readonly #type: string | null

  constructor(sink: Sink, take: BodyTake, type: string | null) {
    this.#sink = sink
    this.#take = take
    this.#type = type
  }

  write(chunk: Uint8Array): boolean {
    this.#take.push(chunk)
    return this.#sink.write(chunk)
  }

  onDrain(callback: () => void): void {
    this.#sink.onDrain(callback)
  }

  end(last?: Uint8Array): void {
    if (last !== undefined) this.#take.push(last)
    this.#take.end(this.#type)
    this.#sink.end(last)
  }

  cut(): void {
    this.#take.end(this.#type)
    this.#sink.cut?.()
  }
}
