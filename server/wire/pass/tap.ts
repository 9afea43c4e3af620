import { concat, fromText, latin1 } from '../bytes.ts'
import { dataOf, eventOf, SseFramer, splitFrames } from '../sse.ts'
import type { Metered, PassId, StreamTap } from '../wire.ts'
import { readPassUsage, UNCOUNTED } from './usage.ts'

const NOTHING = new Uint8Array(0)

/** Passes server-sent events on as they are, whole, and looks for the usage in them. They end with the connection. */
export class PassTap implements StreamTap {
  begun = false
  readonly done = false
  readonly written = 0
  failure: string | null = null
  readonly #id: PassId
  readonly #framer = new SseFramer()
  #metered: Metered | null = null

  constructor(id: PassId) {
    this.#id = id
  }

  /** Nothing but the orderly end of the connection says so on these wires. */
  get finished(): boolean {
    return this.begun && this.failure === null
  }

  push(chunk: Uint8Array): Uint8Array | null {
    if (this.failure !== null) return null
    const frames = this.#framer.push(chunk)
    return frames === null ? null : this.#look(frames)
  }

  end(): Uint8Array | null {
    const rest = this.#framer.rest()
    // A last event may lack its empty line.
    return rest.length === 0 ? null : this.#look(concat([rest, fromText('\n\n')]))
  }

  metered(): Metered {
    return this.#metered ?? UNCOUNTED
  }

  fail(face: object): Uint8Array {
    return fromText(`event: error\ndata: ${JSON.stringify(face)}\n\n`)
  }

  finish(): Uint8Array {
    return NOTHING
  }

  /** @returns the frames up to an error, which is told in the gateway's own words */
  #look(frames: Uint8Array): Uint8Array | null {
    const text = latin1(frames)
    let at = 0
    for (const frame of splitFrames(text)) {
      const value = parse(dataOf(frame))
      if (value !== null && (eventOf(frame) === 'error' || value.type === 'error' || isError(value.error))) {
        this.failure = latin1(frames, at, at + Math.min(frame.length, 600))
        break
      }
      if (value !== null) {
        this.begun = true
        this.#metered = readPassUsage(this.#id, value) ?? this.#metered
      }
      at += frame.length
    }
    return at === 0 ? null : frames.subarray(0, at)
  }
}

function isError(error: unknown): boolean {
  return typeof error === 'object' && error !== null
}

function parse(data: string | null): Record<string, unknown> | null {
  if (data === null) return null
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
