import { type Answered, type Ending, grow, type Settled, type StreamReader, type StreamSource } from '../call.ts'
import type { Deps } from '../deps.ts'
import { faceOf, GatewayError } from '../errors.ts'
import { nonsense } from '../failure.ts'
import type { Sink, StreamBody } from '../http.ts'
import { type Leash, leashOf } from '../limits/leash.ts'
import type { Metered, StreamTap } from '../wire/wire.ts'

/** The meter's two steps, handed in by the pipeline. */
export interface Metering {
  settle(call: Answered, ending: Ending): Settled | Promise<Settled> | null
  record(settled: Settled, written: () => void): void
}

/**
 * Provider's bytes -> caller's bytes, frame by frame as they come. Whatever ends the stream (its end, a cut, the
 * caller's leaving) settles the call, and the last bytes leave only when its record is written.
 */
export function relay(call: Answered & { readonly answer: StreamSource }, deps: Deps, metering: Metering): StreamBody {
  return (sink) => call.answer.attach(new Relay(call, deps, { metering, sink }))
}

class Relay implements StreamReader {
  readonly #call: Answered & { readonly answer: StreamSource }
  readonly #deps: Deps
  readonly #metering: Metering
  readonly #sink: Sink
  readonly #tap: StreamTap
  readonly #leash: Leash | null
  #over = false

  constructor(
    call: Answered & { readonly answer: StreamSource },
    deps: Deps,
    ends: { readonly metering: Metering; readonly sink: Sink },
  ) {
    this.#call = call
    this.#deps = deps
    this.#metering = ends.metering
    this.#sink = ends.sink
    this.#tap = call.answer.raw?.tap ?? call.target.wire.tap(call.ask)
    this.#leash = leashOf(call, deps)
    if (this.#leash !== null) this.#tap.mayCut?.()
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return
    try {
      this.#pass(this.#tap.push(chunk))
    } catch (error) {
      return this.#break(nonsense(this.#provider, (error as Error).message))
    }
    this.#look()
    if (this.#leash !== null && !this.#over) this.#hold(this.#leash)
  }

  onEnd(): void {
    if (this.#over) return
    try {
      this.#pass(this.#tap.end())
    } catch (error) {
      return this.#fail(nonsense(this.#provider, (error as Error).message))
    }
    this.#look()
    if (this.#over) return
    if (this.#tap.finished) this.#complete()
    else this.#fail(nonsense(this.#provider, 'The stream ended without saying that it is done'))
  }

  onBroken(error: GatewayError): void {
    if (!this.#over) this.#fail(error)
  }

  onGone(): void {
    if (this.#over) return
    this.#over = true
    this.#settle('aborted', null, (settled) => this.#metering.record(settled, () => {}))
  }

  get #provider(): string {
    return this.#call.target.provider.name
  }

  #pass(bytes: Uint8Array | null): void {
    if (bytes === null || this.#sink.write(bytes)) return
    const { answer } = this.#call
    answer.pause()
    this.#sink.onDrain(() => answer.resume())
  }

  /** Ends the answer where nothing more can be paid for. */
  #hold(leash: Leash): void {
    const goesOn = leash.allows(this.#tap.written)
    if (goesOn === false) return this.#cut()
    if (goesOn === true) return
    const { answer } = this.#call
    answer.pause()
    void goesOn.then((may) => {
      answer.resume()
      if (!may && !this.#over) this.#cut()
    })
  }

  /** As if the model had reached its longest answer, in the caller's own dialect. */
  #cut(): void {
    const last = this.#tap.cut?.() ?? null
    if (last === null) return this.#break(unpaid())
    this.#call.answer.abort()
    grow(this.#call, { adapted: [this.#call.adapted, 'max_tokens=clamped'].filter((one) => one !== null).join(',') })
    this.#sink.write(last)
    this.#complete()
  }

  /** Ends the stream when the last bytes said so. The way to the provider stays open: its end is on the way. */
  #look(): void {
    if (this.#tap.done) this.#complete()
    else if (this.#tap.failure !== null) this.#break(nonsense(this.#provider, this.#tap.failure))
  }

  #complete(): void {
    this.#over = true
    this.#settle('done', null, (settled) => {
      const last = this.#tap.finish(this.#call.options.additions ? settled.additions : null)
      this.#metering.record(settled, () => this.#sink.end(last))
    })
  }

  #break(error: GatewayError): void {
    this.#call.answer.abort()
    this.#fail(error)
  }

  #fail(error: GatewayError): void {
    this.#over = true
    this.#tellBreaker(error)
    this.#deps.log.warn('A stream broke off', { request: this.#call.id, code: error.code, cause: error.cause })
    this.#settle('cut', error.code, (settled) => {
      // No bytes among bytes can say that these are not all.
      const isRaw = this.#call.answer.raw != null
      const last = isRaw ? null : this.#tap.fail(faceOf(error, this.#call.service.wire.face, this.#call.id))
      this.#metering.record(settled, () => (last === null ? this.#sink.cut?.() : this.#sink.end(last)))
    })
  }

  #tellBreaker({ fault }: GatewayError): void {
    const { target, principal } = this.#call
    const { provider, account } = target
    if (fault === null || provider.inProcess !== undefined) return
    const organizationId = account.own ? principal.organizationId : null
    this.#deps.breaker?.failed(provider.id, account.id, fault, { organizationId })
  }

  /** Settled at once, but for calls that used more than they held. */
  #settle(outcome: 'done' | 'cut' | 'aborted', errorCode: string | null, then: (settled: Settled) => void): void {
    const ending = { outcome, status: 200, errorCode, metered: this.#metered(), providerEndedAt: this.#now() }
    const settled = this.#metering.settle(this.#call, ending)
    if (settled instanceof Promise) void settled.then(then)
    else if (settled !== null) then(settled)
  }

  /** What was produced, null when that is nothing. */
  #metered(): Metered | null {
    const metered = this.#tap.metered()
    return this.#tap.begun || metered.source === 'provider' ? metered : null
  }

  #now(): number {
    return this.#deps.clock.monotonic()
  }
}

function unpaid(): GatewayError {
  return new GatewayError('quota_exceeded', 'The answer got longer than credits and limits allow')
}
