import type { UpstreamExchange, UpstreamHandler } from '../../upstream.ts'
import type { Answer } from './answer.ts'

export type StartTimer = (afterMs: number, callback: () => void) => { cancel(): void }

export interface Pace {
  readonly paceMs: number
  readonly slowMs: number
  readonly timer: StartTimer | null
}

/** Chunks that are sent in one turn when there is no pace: the process must get to other work in between. */
const CHUNKS_A_TURN = 32

/** Sends one answer to its handler, always from a turn of its own, never after the end or an abort. */
export class Exchange implements UpstreamExchange {
  readonly #handler: UpstreamHandler
  readonly #pace: Pace
  readonly #ended: () => void
  #answer: Answer | null = null
  #chunks: Iterator<Uint8Array> | null = null
  #leftBeforeCut = Infinity
  #paused = false
  /** A step is due as soon as the handler reads again. */
  #held = false
  #over = false
  #cancel: () => void = () => {}

  /** @param ended is called once, when nothing more will be reported. */
  constructor(handler: UpstreamHandler, pace: Pace, ended: () => void) {
    this.#handler = handler
    this.#pace = pace
    this.#ended = ended
  }

  /** @param answer makes the answer, in a later turn; null: the sandbox is closed. */
  begin(answer: (() => Answer) | null): void {
    this.#after(0, () => {
      if (answer === null) return this.#fail('connect', 'The sandbox is closed')
      try {
        this.#answer = answer()
      } catch (error) {
        return this.#fail('protocol', `The sandbox failed: ${error instanceof Error ? error.message : String(error)}`)
      }
      this.#after(this.#answer.behaviour === 'slow' ? this.#pace.slowMs : 0, () => this.#head(this.#answer!))
    })
  }

  abort(): void {
    this.#finish()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#held || this.#over) return
    this.#held = false
    this.#after(0, () => this.#send())
  }

  #head({ reply, behaviour }: Answer): void {
    let chunks = reply.chunks
    if (behaviour === 'cut') {
      chunks = reply.paced ? [...chunks] : halves(chunks)
      this.#leftBeforeCut = Math.ceil((chunks as readonly Uint8Array[]).length / 2)
    }
    this.#chunks = chunks[Symbol.iterator]()
    this.#handler.onHeaders(reply.status, (name) => reply.headers.get(name) ?? null)
    if (!this.#over) this.#send()
  }

  #send(): void {
    const { reply, behaviour } = this.#answer!
    const waitMs = behaviour === 'slow' ? this.#pace.slowMs / 10 : this.#pace.paceMs
    for (let sent = 0; sent < CHUNKS_A_TURN; sent++) {
      if (this.#paused) {
        this.#held = true
        return
      }
      if (this.#leftBeforeCut-- === 0) return this.#fail('network', 'The sandbox cut the connection, as asked')
      const next = this.#chunks!.next()
      if (next.done === true) return this.#finish(() => this.#handler.onEnd())
      this.#handler.onData(next.value)
      if (this.#over) return
      if (reply.paced && waitMs > 0) return this.#after(waitMs, () => this.#send())
    }
    this.#after(0, () => this.#send())
  }

  #fail(kind: 'connect' | 'network' | 'protocol', message: string): void {
    this.#finish(() => this.#handler.onError({ kind, message }))
  }

  #finish(report: () => void = () => {}): void {
    if (this.#over) return
    this.#over = true
    this.#cancel()
    this.#chunks = null
    try {
      report()
    } finally {
      this.#ended()
    }
  }

  #after(waitMs: number, step: () => void): void {
    if (waitMs > 0 && this.#pace.timer !== null) {
      const timer = this.#pace.timer(waitMs, step)
      this.#cancel = () => timer.cancel()
    } else {
      const turn = setImmediate(step)
      this.#cancel = () => clearImmediate(turn)
    }
  }
}

function halves(chunks: Iterable<Uint8Array>): Uint8Array[] {
  return [...chunks].flatMap((chunk) => {
    const middle = chunk.length >> 1
    return [chunk.slice(0, middle), chunk.slice(middle)]
  })
}
