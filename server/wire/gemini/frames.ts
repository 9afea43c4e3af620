import { concat, fromLatin1, fromText, latin1 } from '../bytes.ts'
import { parseData } from '../openai/chunk.ts'
import { dataOf, frameEnd, MAX_FRAME_BYTES, SseFramer } from '../sse.ts'
import { AnswerError } from '../wire.ts'

const NOTHING = new Uint8Array(0)
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Where the bytes read so far have come to. */
const AT = { json: 0, string: 1, escape: 2 } as const

/** One of the two ways in which chunks are put into bytes. */
export interface Frames {
  /** Whole chunks to pass on now. `see` gets the JSON of each, byte for character, and says whether to go on. */
  push(chunk: Uint8Array, see: See): Uint8Array | null
  end(see: See): Uint8Array | null
  fail(face: object): Uint8Array
  finish(): Uint8Array
  readonly done: boolean
}

export type See = (json: string | null) => boolean

/** Chunks as server-sent events, one each. */
export class EventFrames implements Frames {
  readonly done = false
  readonly fail = frameOf
  readonly #framer = new SseFramer()

  push(chunk: Uint8Array, see: See): Uint8Array | null {
    const frames = this.#framer.push(chunk)
    return frames === null ? null : seen(frames, see)
  }

  end(see: See): Uint8Array | null {
    const rest = this.#framer.rest()
    if (rest.length === 0) return null
    const event = `${latin1(rest).replace(/[\r\n]+$/, '')}\n\n`
    // Half an event helps nobody; a whole one that only lacks its empty line does.
    return parseData(dataOf(event)) === null ? null : seen(fromLatin1(event), see)
  }

  finish(): Uint8Array {
    return NOTHING
  }
}

/** The events up to the first that is an error; null when that is none. */
function seen(frames: Uint8Array, see: See): Uint8Array | null {
  const text = latin1(frames)
  for (let from = 0; from < text.length; ) {
    const end = frameEnd(text, from)
    if (!see(dataOf(text.slice(from, end)))) return from === 0 ? null : frames.subarray(0, from)
    from = end
  }
  return frames
}

export function frameOf(face: object): Uint8Array {
  return fromText(`data: ${JSON.stringify(face)}\n\n`)
}

/**
 * A stream of chunks as one JSON array, which is what Google sends without `alt=sse`: `[{…}\r\n,\r\n{…}]`. Elements
 * leave whole, with what stands before them; the closing bracket is held back for the end, so that a stream that fails
 * can still end as valid JSON.
 */
export class ArrayFrames implements Frames {
  done = false
  #held: Uint8Array[] = []
  #heldBytes = 0
  #depth = 0
  #at: number = AT.json
  /** Whether an element has been passed on: the next needs a comma. */
  #isFilled = false
  #close: Uint8Array = fromText(']')

  push(chunk: Uint8Array, see: See): Uint8Array | null {
    const out: Uint8Array[] = []
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const end = this.#step(chunk[at]!)
      if (end === 'array') {
        this.#hold(chunk.subarray(from, at + 1))
        this.#close = this.#take()
        this.done = true
        break
      }
      if (end === null) continue
      this.#hold(chunk.subarray(from, at + 1))
      from = at + 1
      const element = this.#take()
      if (!see(jsonOf(element))) return out.length === 0 ? null : concat(out)
      out.push(element)
      this.#isFilled = true
    }
    if (!this.done) this.#hold(chunk.subarray(from))
    return out.length === 0 ? null : concat(out)
  }

  end(): null {
    return null
  }

  fail(face: object): Uint8Array {
    return fromText(`${this.#isFilled ? ',\r\n' : '['}${JSON.stringify(face)}]`)
  }

  finish(): Uint8Array {
    return this.#close
  }

  /** What ends with this byte, if anything. */
  #step(byte: number): 'element' | 'array' | null {
    if (this.#at === AT.escape) this.#at = AT.string
    else if (this.#at === AT.string) {
      if (byte === QUOTE) this.#at = AT.json
      else if (byte === BACKSLASH) this.#at = AT.escape
    } else if (byte === QUOTE) this.#at = AT.string
    // { and [, } and ] differ in one bit from each other.
    else if ((byte | 0x20) === 0x7b) this.#depth++
    else if ((byte | 0x20) === 0x7d) {
      this.#depth--
      if (this.#depth === 0) return 'array'
      if (this.#depth === 1) return 'element'
    }
    return null
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > MAX_FRAME_BYTES) throw new AnswerError('One chunk of the stream exceeds 16 MiB')
  }

  #take(): Uint8Array {
    const whole = concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    return whole
  }
}

/** The element without the bracket or comma before it. */
function jsonOf(element: Uint8Array): string {
  return latin1(element).replace(/^[\s[,]+/, '')
}
