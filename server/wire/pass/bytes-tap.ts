import { concat } from '../bytes.ts'
import type { Metered, StreamTap } from '../wire.ts'
import { UNCOUNTED } from './usage.ts'

const NOTHING = new Uint8Array(0)

/**
 * Passes bytes of any kind on as they come, of which nothing is read. The last one waits for `finish`: the answer isn't
 * whole before its call is on record.
 */
export class BytesTap implements StreamTap {
  begun = false
  readonly done = false
  readonly failure = null
  readonly written = 0
  /** The orderly end of the provider's answer says so, and nothing else can. */
  readonly finished = true
  #held: Uint8Array = NOTHING

  push(chunk: Uint8Array): Uint8Array | null {
    if (chunk.length === 0) return null
    const before = this.#held
    const last = chunk.length - 1
    this.begun = true
    // A copy, since it would keep the whole chunk.
    this.#held = chunk.slice(last)
    if (before.length + last === 0) return null
    return before.length === 0 ? chunk.subarray(0, last) : concat([before, chunk.subarray(0, last)])
  }

  end(): null {
    return null
  }

  metered(): Metered {
    return UNCOUNTED
  }

  /** There are no words for it among bytes. */
  fail(): Uint8Array {
    return NOTHING
  }

  finish(): Uint8Array {
    return this.#held
  }
}
