import { isActive, type ResponseStatus } from '../../db/model/responses.ts'
import { grow, type Keeping, type Prepared } from '../call.ts'
import type { Deps, Timer } from '../deps.ts'
import { BodyBroken, type Incoming, type Sink } from '../http.ts'
import { fromLatin1, latin1 } from '../wire/bytes.ts'
import { dataOf, splitFrames } from '../wire/sse.ts'

/** How often a response in the background shows that it is alive, and looks whether it was cancelled elsewhere. */
const BEAT_MS = 2000
/** One that hasn't shown that for so long is dead: its process was. */
export const DEAD_MS = 30_000
/** How long its events can be read again when it has ended. */
const REPLAY_MS = 300_000
/** More events than that aren't kept to be read again. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024

/** A call whose caller may leave: it goes away only when it is cancelled. */
class Detached implements Incoming {
  readonly #from: Incoming
  #callbacks: (() => void)[] = []
  #isGone = false

  constructor(from: Incoming) {
    this.#from = from
  }

  get method(): string {
    return this.#from.method
  }

  get path(): string {
    return this.#from.path
  }

  get query(): string {
    return this.#from.query
  }

  get remoteAddress(): string | null {
    return this.#from.remoteAddress
  }

  header(name: string): string | null {
    return this.#from.header(name)
  }

  body(): Promise<Uint8Array> {
    return Promise.reject(new BodyBroken())
  }

  onGone(callback: () => void): void {
    if (this.#isGone) callback()
    else this.#callbacks.push(callback)
  }

  leave(): void {
    this.#isGone = true
    for (const callback of this.#callbacks.splice(0)) callback()
  }
}

/** One response that runs in the background of this process: its call belongs to nobody's connection any more. */
export class BackgroundJob {
  readonly #incoming: Detached
  readonly #keeping: Keeping
  readonly #projectId: string
  readonly #streams: boolean
  readonly #deps: Deps
  readonly #events: { readonly sequence: number; readonly bytes: Uint8Array }[] = []
  readonly #followers = new Map<Sink, number>()
  #bytes = 0
  #over = false
  #timer: Timer

  constructor(call: Prepared & { readonly keeping: Keeping }, deps: Deps) {
    this.#incoming = new Detached(call.incoming)
    grow(call, { incoming: this.#incoming })
    this.#keeping = call.keeping
    this.#projectId = call.principal.projectId
    this.#streams = call.ask.stream
    this.#deps = deps
    this.#timer = deps.clock.timer(BEAT_MS, () => this.#beat())
    jobsOf(deps).set(this.#keeping.id, this)
  }

  /** Its events can be read: its caller asked for some, and they are all here. */
  get streams(): boolean {
    return this.#streams && this.#bytes <= MAX_EVENT_BYTES
  }

  get projectId(): string {
    return this.#projectId
  }

  /** Where the events of its stream go; they are kept to be read again. */
  get sink(): Sink {
    return {
      write: (chunk) => {
        this.#take(chunk)
        return true
      },
      end: (last) => {
        if (last !== undefined) this.#take(last)
        this.end()
      },
      onDrain: (callback) => callback(),
    }
  }

  /**
   * Sends the events behind that number, and those to come.
   * @param after as in `sequence_number`; -1: from the first on
   */
  follow(sink: Sink, after: number): void {
    for (const { sequence, bytes } of this.#events) if (sequence > after) sink.write(bytes)
    if (this.#over) sink.end()
    else this.#followers.set(sink, after)
  }

  /** The way to the provider is closed; what was produced is billed. */
  cancel(): void {
    this.#incoming.leave()
    this.end()
  }

  /** Nothing more will come. */
  end(): void {
    if (this.#over) return
    this.#over = true
    this.#timer.cancel()
    for (const sink of this.#followers.keys()) sink.end()
    this.#followers.clear()
    this.#deps.clock.timer(REPLAY_MS, () => jobsOf(this.#deps).delete(this.#keeping.id))
  }

  #take(chunk: Uint8Array): void {
    for (const frame of splitFrames(latin1(chunk))) {
      const bytes = fromLatin1(frame)
      const sequence = sequenceOf(frame) ?? this.#events[this.#events.length - 1]?.sequence ?? 0
      this.#bytes += bytes.length
      if (this.#bytes <= MAX_EVENT_BYTES) this.#events.push({ sequence, bytes })
      else this.#events.length = 0
      for (const [sink, after] of this.#followers) if (sequence > after) sink.write(bytes)
    }
  }

  #beat(): void {
    if (this.#over) return
    const { responses, clock } = this.#deps
    const again = () => {
      if (!this.#over) this.#timer = clock.timer(BEAT_MS, () => this.#beat())
    }
    const look = (status: ResponseStatus | null) => (status === null || !isActive(status) ? this.cancel() : again())
    // A database that is away for a while doesn't stop it.
    responses.beat(this.#projectId, this.#keeping.id, clock.now()).then(look, again)
  }
}

function sequenceOf(frame: string): number | null {
  const found = /"sequence_number"\s*:\s*(\d+)/.exec(dataOf(frame) ?? '')
  return found === null ? null : Number(found[1])
}

const jobs = new WeakMap<Deps, Map<string, BackgroundJob>>()

function jobsOf(deps: Deps): Map<string, BackgroundJob> {
  let known = jobs.get(deps)
  if (known === undefined) {
    known = new Map()
    jobs.set(deps, known)
  }
  return known
}

/** The response as it runs in this process; null when it runs, or ran, elsewhere. */
export function jobOf(projectId: string, id: string, deps: Deps): BackgroundJob | null {
  const job = jobsOf(deps).get(id)
  return job !== undefined && job.projectId === projectId ? job : null
}
