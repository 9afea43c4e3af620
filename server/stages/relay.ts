import type { Answered, Ending, Settled, StreamReader, StreamSource } from '../call.ts'
import type { Deps } from '../deps.ts'
import { faceOf, type GatewayError } from '../errors.ts'
import { nonsense } from '../failure.ts'
import type { Sink, StreamBody } from '../http.ts'
import type { Metered, StreamTap } from '../wire/wire.ts'

/** The meter's two steps, handed in by the pipeline. */
export interface Metering {
  settle(call: Answered, ending: Ending): Settled | null
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
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return
    try {
      this.#pass(this.#tap.push(chunk))
    } catch (error) {
      return this.#break(nonsense(this.#provider, (error as Error).message))
    }
    this.#look()
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
    const settled = this.#settle('aborted', null)
    if (settled !== null) this.#metering.record(settled, () => {})
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

  /** Ends the stream when the last bytes said so. The way to the provider stays open: its end is on the way. */
  #look(): void {
    if (this.#tap.done) this.#complete()
    else if (this.#tap.failure !== null) this.#break(nonsense(this.#provider, this.#tap.failure))
  }

  #complete(): void {
    this.#over = true
    const settled = this.#settle('done', null)
    if (settled === null) return
    const last = this.#tap.finish(this.#call.options.additions ? settled.additions : null)
    this.#metering.record(settled, () => this.#sink.end(last))
  }

  #break(error: GatewayError): void {
    this.#call.answer.abort()
    this.#fail(error)
  }

  #fail(error: GatewayError): void {
    this.#over = true
    this.#deps.log.warn('A stream broke off', { request: this.#call.id, code: error.code, cause: error.cause })
    const settled = this.#settle('cut', error.code)
    if (settled === null) return
    // No bytes among bytes can say that these are not all.
    const isRaw = this.#call.answer.raw != null
    const last = isRaw ? null : this.#tap.fail(faceOf(error, this.#call.service.wire.face, this.#call.id))
    this.#metering.record(settled, () => (last === null ? this.#sink.cut?.() : this.#sink.end(last)))
  }

  #settle(outcome: 'done' | 'cut' | 'aborted', errorCode: string | null): Settled | null {
    const ending = { outcome, status: 200, errorCode, metered: this.#metered(), providerEndedAt: this.#now() }
    return this.#metering.settle(this.#call, ending)
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
