import type { Claimed, HeldKey, KeptAnswer } from '../../db/model/idempotency.ts'
import type { Admitted } from '../call.ts'
import type { Deps, Timer } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'
import type { Reply, Sink, StreamBody } from '../http.ts'
import { latin1 } from '../wire/bytes.ts'
import { type Broadcast, KEPT_BYTES } from './broadcast.ts'
import { type IdempotencyKey, keyOf } from './fingerprint.ts'
import { DEAD_MS } from './heartbeat.ts'
import { Run } from './run.ts'
import { type Running, runningOf } from './running.ts'
import { notKept, type Parts, retell, type Told, toldBy } from './told.ts'

/** How long an answer is given again. */
const LIFE_MS = 24 * 3_600_000
/** A database that takes longer is taken for away. */
const ANSWER_MS = 2000
/** Between looks at a call that runs on another instance: doubled each time. */
const FIRST_LOOK_MS = 50
const LAST_LOOK_MS = 1000
/** Between tries to keep an answer that was given already: doubled each time, two minutes in all. */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 64_000

/**
 * A call with an idempotency key. Of those with the same key that ask the same, over all instances, one is made at a
 * time; when it has its answer the others get that, and so does everyone who asks again within a day.
 * @throws GatewayError `invalid_request`, `idempotency_conflict`, `service_unavailable`, and whatever the call fails with
 */
export async function keyed(call: Admitted, key: string, parts: Parts): Promise<Reply> {
  const { runs } = runningOf(parts.deps)
  const asked = keyOf(call, key)
  const place = asked.id + asked.fingerprint
  for (;;) {
    const run = runs.get(place)
    if (run === undefined || run.caller.isGone) return new Keyed(call, { asked, place }, parts).lead()
    try {
      return await run.follow(call)
    } catch (error) {
      // What one key of a project may not do another may.
      const isOther = run.call.principal.keyId !== call.principal.keyId
      if (!isOther || !(error instanceof GatewayError) || error.status >= 500 || runs.get(place) === run) throw error
    }
  }
}

class Keyed {
  readonly #run: Run
  readonly #asked: IdempotencyKey
  readonly #place: string
  readonly #parts: Parts
  readonly #deps: Deps
  readonly #running: Running
  readonly #held: HeldKey
  #stream: Broadcast | null = null

  constructor(call: Admitted, { asked, place }: { asked: IdempotencyKey; place: string }, parts: Parts) {
    this.#asked = asked
    this.#place = place
    this.#parts = parts
    this.#deps = parts.deps
    this.#running = runningOf(parts.deps)
    this.#run = new Run(call, parts)
    this.#run.watch()
    this.#held = { id: asked.id, projectId: call.principal.projectId, requestId: call.id }
    this.#running.runs.set(place, this.#run)
    this.#run.caller.onGone(() => this.#abandoned())
  }

  /** The reply of the request that came first. Others follow its run. */
  async lead(): Promise<Reply> {
    const { call } = this.#run
    try {
      const kept = await this.#acquire()
      if (kept === null) return await this.#make()
      this.#over()
      this.#run.tell(kept)
      return await retell(call, kept, this.#parts)
    } catch (error) {
      this.#over()
      this.#run.fail(error)
      throw error
    }
  }

  /** @returns the answer that is there already; null when the key is held by this call from now on */
  async #acquire(): Promise<Told | null> {
    const { clock, settings } = this.#deps
    const until = clock.monotonic() + settings.totalTimeoutMs
    for (let lookMs = FIRST_LOOK_MS; ; ) {
      const claimed = await this.#claim()
      if (claimed.state === 'held') return null
      if (claimed.fingerprint !== this.#asked.fingerprint) throw conflict(claimed.requestId)
      if (claimed.state === 'answered') return toldOf(claimed)
      do {
        if (clock.monotonic() >= until) throw stillRunning(claimed.requestId)
        await new Promise<void>((resolve) => clock.timer(lookMs, resolve))
        if (this.#run.caller.isGone) throw new CallerGone()
        lookMs = Math.min(lookMs * 2, LAST_LOOK_MS)
      } while (await this.#isRunning())
    }
  }

  async #claim(): Promise<Claimed> {
    const { clock, idempotency } = this.#deps
    const nowMs = clock.now()
    const { fingerprint } = this.#asked
    const times = { nowMs, deadBeforeMs: nowMs - DEAD_MS, expiresAtMs: nowMs + LIFE_MS }
    const claiming = idempotency.claim({ ...this.#held, fingerprint, ...times })
    try {
      const claimed = await inTime(claiming, this.#deps)
      if (claimed.state === 'held') this.#running.heartbeat.add(this.#held)
      if (claimed.state === 'held' && this.#run.caller.isGone) {
        this.#release()
        throw new CallerGone()
      }
      return claimed
    } catch (cause) {
      if (cause instanceof CallerGone) throw cause
      // What it takes after all, nobody would use.
      claiming.then(({ state }) => state === 'held' && this.#release()).catch(() => {})
      throw away(cause)
    }
  }

  #isRunning(): Promise<boolean> {
    const { clock, idempotency } = this.#deps
    const { id, projectId } = this.#held
    const nowMs = clock.now()
    const looking = idempotency.isRunning({ id, projectId, nowMs, deadBeforeMs: nowMs - DEAD_MS })
    return inTime(looking, this.#deps).catch((cause) => {
      throw away(cause)
    })
  }

  async #make(): Promise<Reply> {
    let reply: Reply
    try {
      reply = await this.#parts.steps.carryOn(this.#run.call, this.#deps)
    } catch (error) {
      this.#release()
      throw error
    }
    if (typeof reply.body === 'function') return this.#begin(reply, reply.body)
    const told = toldBy(this.#run.call, reply, null)
    await this.#keep(told, told.body as string)
    this.#run.tell(told)
    return reply
  }

  #begin(reply: Reply, body: StreamBody): Reply {
    const stream = this.#run.broadcast(this.#running.holding)
    this.#stream = stream
    const told = toldBy(this.#run.call, reply, stream)
    this.#run.tell(told)
    body(this.#sinkOf(stream, told))
    return this.#run.ownReply(reply, stream)
  }

  /** A stream's last bytes wait until it is kept: who has all of it can have it again. */
  #sinkOf(stream: Broadcast, told: Told): Sink {
    const failed = (end: () => void) => {
      this.#release()
      end()
      this.#over()
    }
    return {
      write: (chunk) => stream.write(chunk),
      onDrain: (callback) => stream.onDrain(callback),
      end: (last) => {
        if (this.#run.ending?.outcome !== 'done') return failed(() => stream.end(last))
        const bytes = stream.isWhole ? latin1(stream.bytes(last)) : null
        void this.#keep(told, bytes).then(() => stream.end(last))
      },
      cut: () => failed(() => stream.cut()),
    }
  }

  /** Resolves when every instance can read it, or nobody can for now. Never rejects. @param body null: not to be had */
  async #keep(told: Told, body: string | null): Promise<void> {
    const { requestId: _, length: __, body: ___, ...head } = told
    const isSmall = body !== null && body.length <= KEPT_BYTES
    const answer = isSmall ? { ...head, body } : null
    if (await this.#finish(answer)) this.#over()
    else void this.#finishLater(answer)
  }

  /** It was given already: until it is kept it is in memory, and nobody else gets the key. */
  async #finishLater(answer: KeptAnswer | null): Promise<void> {
    for (let afterMs = FIRST_RETRY_MS; afterMs <= LAST_RETRY_MS; afterMs *= 2) {
      await new Promise<void>((resolve) => this.#deps.clock.timer(afterMs, resolve))
      if (await this.#finish(answer)) break
    }
    this.#over()
  }

  async #finish(answer: KeptAnswer | null): Promise<boolean> {
    const { clock, idempotency, log } = this.#deps
    try {
      const isHeld = await inTime(idempotency.finish(this.#held, answer, clock.now() + LIFE_MS), this.#deps)
      if (!isHeld) log.warn('An idempotency key was taken over while its call ran', { request: this.#held.requestId })
      return true
    } catch (cause) {
      log.warn('The answer of an idempotency key could not be kept', { request: this.#held.requestId, cause })
      return false
    }
  }

  /** All who waited have left. */
  #abandoned(): void {
    if (this.#stream === null || this.#run.ending !== null) return
    // What runs in the background goes on, and its answer is kept.
    if (this.#run.call.keeping?.background === true) return
    this.#release()
    this.#over()
  }

  #release(): void {
    this.#running.heartbeat.remove(this.#held)
    const { idempotency, log } = this.#deps
    idempotency.release(this.#held).catch((cause: unknown) => {
      log.warn('An idempotency key could not be released', { request: this.#held.requestId, cause })
    })
  }

  /** Nobody joins any more. */
  #over(): void {
    const { runs, heartbeat } = this.#running
    heartbeat.remove(this.#held)
    if (runs.get(this.#place) === this.#run) runs.delete(this.#place)
    this.#stream?.close()
  }
}

function toldOf({ requestId, answer }: Extract<Claimed, { state: 'answered' }>): Told {
  if (answer === null) throw notKept(requestId)
  return { requestId, length: null, ...answer }
}

function conflict(requestId: string): GatewayError {
  const what = 'This idempotency key was used with another request: use a new key, or send the same request'
  return new GatewayError('idempotency_conflict', what, { details: { request_id: requestId } })
}

function stillRunning(requestId: string): GatewayError {
  const what = 'The call with this idempotency key still runs; try again shortly'
  return new GatewayError('service_unavailable', what, { retryAfter: 5, details: { request_id: requestId } })
}

/** Rather no call than two. */
function away(cause: unknown): GatewayError {
  const what = 'Idempotency keys can not be looked up right now; try again shortly'
  return new GatewayError('service_unavailable', what, { retryAfter: 2, cause })
}

async function inTime<T>(asked: Promise<T>, deps: Deps): Promise<T> {
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = deps.clock.timer(ANSWER_MS, () => reject(new Error(`No answer within ${ANSWER_MS} ms`)))
  })
  try {
    return await Promise.race([asked, late])
  } finally {
    timer?.cancel()
  }
}
