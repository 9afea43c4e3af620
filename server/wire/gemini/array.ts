import { fromLatin1, latin1 } from '../bytes.ts'
import { parseData } from '../openai/chunk.ts'
import { dataOf, splitFrames } from '../sse.ts'
import type { Additions, ByteText, Metered, StreamTap } from '../wire.ts'

const NOTHING = new Uint8Array(0)

/**
 * The stream of `tap` as one JSON array, which is what Google's callers get without `alt=sse`: `[{…}\r\n,\r\n{…}]`, each
 * element as soon as it is there, an error as the last of them. It ends as valid JSON however it ends.
 */
export function asArray(tap: StreamTap): StreamTap {
  return new ArrayTap(tap)
}

class ArrayTap implements StreamTap {
  readonly #tap: StreamTap
  #isFilled = false

  constructor(tap: StreamTap) {
    this.#tap = tap
  }

  get done(): boolean {
    return this.#tap.done
  }

  get finished(): boolean {
    return this.#tap.finished
  }

  get begun(): boolean {
    return this.#tap.begun
  }

  get written(): number {
    return this.#tap.written
  }

  get failure(): string | null {
    return this.#tap.failure
  }

  push(chunk: Uint8Array): Uint8Array | null {
    return this.#passed(this.#tap.push(chunk))
  }

  end(): Uint8Array | null {
    return this.#passed(this.#tap.end())
  }

  metered(): Metered {
    return this.#tap.metered()
  }

  /** As a frame is; an empty one when the answer can't be cut. */
  cut(): Uint8Array {
    return this.#passed(this.#tap.cut?.() ?? null) ?? NOTHING
  }

  fail(face: object): Uint8Array {
    return this.#closed(this.#tap.fail(face))
  }

  finish(additions: Additions | null): Uint8Array {
    return this.#closed(this.#tap.finish(additions))
  }

  #passed(frames: Uint8Array | null): Uint8Array | null {
    const elements = frames === null ? '' : this.#elements(frames)
    return elements === '' ? null : fromLatin1(elements)
  }

  #closed(last: Uint8Array): Uint8Array {
    const elements = this.#elements(last)
    return fromLatin1(this.#isFilled ? `${elements}\r\n]` : '[]')
  }

  /** What is in whole events, each element with what parts it from the one before. Comments have no place in JSON. */
  #elements(frames: Uint8Array): ByteText {
    let out = ''
    for (const frame of splitFrames(latin1(frames))) {
      const data = dataOf(frame)
      if (parseData(data) === null) continue
      out += (this.#isFilled ? '\r\n,\r\n' : '[') + data
      this.#isFilled = true
    }
    return out
  }
}
