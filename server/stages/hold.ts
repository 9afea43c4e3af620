import { type Answered, grow, type StreamReader, type StreamSource } from '../call.ts'
import type { Deps, Timer } from '../deps.ts'
import type { GatewayError } from '../errors.ts'
import { CallerGone, failedInStream, nonsense } from '../failure.ts'
import type { StreamTap } from '../wire/wire.ts'

/** A provider that has begun to answer and says nothing yet is believed after so long: its caller hears of it. */
const HOLD_MS = 1000
/** More than this without any content is passed on as it is. */
const MOST_BYTES = 256 * 1024

type Streaming = Answered & { readonly answer: StreamSource }

/**
 * Holds a stream back until its first content, or for a second: until then its caller has seen nothing, and another
 * target can still answer instead.
 * @throws GatewayError what the provider said or did in the place of content; CallerGone
 */
export function hold(call: Streaming, deps: Deps): Promise<Answered> {
  // Nobody reads these bytes, so that nobody can tell what of them is content.
  if (call.answer.raw != null) return Promise.resolve(call)
  return new Promise((resolve, reject) => {
    const held = new Held(call, deps, { resolve: () => resolve(grow(call, { answer: held })), reject })
    call.answer.attach(held)
  })
}

interface Verdict {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

class Held implements StreamReader, StreamSource {
  readonly kind = 'stream'
  readonly #source: StreamSource
  readonly #provider: string
  readonly #verdict: Verdict
  readonly #tap: StreamTap
  readonly #timer: Timer
  #chunks: Uint8Array[] = []
  #bytes = 0
  #isHeld = true
  #reader: StreamReader | null = null
  /** How it ended before there was a reader. */
  #end: ((reader: StreamReader) => void) | null = null

  constructor(call: Streaming, { clock }: Deps, verdict: Verdict) {
    this.#source = call.answer
    this.#provider = call.target.provider.name
    this.#verdict = verdict
    // Looks only: what the caller gets is made by another, from the same bytes.
    this.#tap = call.target.wire.tap(call.ask)
    this.#timer = clock.timer(HOLD_MS, () => this.#release())
  }

  onData(chunk: Uint8Array): void {
    if (this.#reader !== null) return this.#reader.onData(chunk)
    this.#chunks.push(chunk)
    if (!this.#isHeld) return
    this.#bytes += chunk.length
    this.#look(() => this.#tap.push(chunk))
    if (this.#isHeld && (this.#tap.begun || this.#tap.done || this.#bytes > MOST_BYTES)) this.#release()
  }

  onEnd(): void {
    if (this.#isHeld) {
      this.#look(() => this.#tap.end())
      if (!this.#isHeld) return
      if (!this.#tap.finished) return this.#refuse(nonsense(this.#provider, 'The stream ended without any content'))
      this.#release()
    }
    this.#tell((reader) => reader.onEnd())
  }

  onBroken(error: GatewayError): void {
    if (this.#isHeld) this.#refuse(error)
    else this.#tell((reader) => reader.onBroken(error))
  }

  onGone(): void {
    if (this.#isHeld) this.#refuse(new CallerGone())
    else this.#tell((reader) => reader.onGone())
  }

  attach(reader: StreamReader): void {
    this.#reader = reader
    const chunks = this.#chunks
    this.#chunks = []
    for (const chunk of chunks) reader.onData(chunk)
    this.#end?.(reader)
  }

  abort(): void {
    this.#timer.cancel()
    this.#source.abort()
  }

  pause(): void {
    this.#source.pause()
  }

  resume(): void {
    this.#source.resume()
  }

  /** What is no answer at all is an error while it is held. */
  #look(read: () => unknown): void {
    try {
      read()
    } catch (error) {
      return this.#refuse(nonsense(this.#provider, (error as Error).message))
    }
    if (this.#tap.failure !== null && !this.#tap.begun) this.#refuse(failedInStream(this.#provider, this.#tap.failure))
  }

  #release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#timer.cancel()
    this.#verdict.resolve()
  }

  #refuse(error: Error): void {
    this.#isHeld = false
    this.abort()
    this.#verdict.reject(error)
  }

  #tell(what: (reader: StreamReader) => void): void {
    if (this.#reader === null) this.#end = what
    else what(this.#reader)
  }
}
