import type { Delta, Part, StreamEvent } from './model.ts'

interface Held {
  readonly key: string
  readonly part: Part
  readonly deltas: Delta[]
  isClosed: boolean
}

/**
 * Brings the parts of one choice into an order: one is ended before the next begins, numbered from 0. The part that is
 * open streams as it comes; what arrives for others meanwhile is held back, in the order of their beginning. Each part
 * has a key of the provider's, such as the index of a tool's call; a key is free again when its part is closed.
 */
export class PartOrder {
  readonly #choice: number
  readonly #emit: (event: StreamEvent) => void
  #held: Held[] = []
  #open: string | null = null
  #index = -1

  constructor(choice: number, emit: (event: StreamEvent) => void) {
    this.#choice = choice
    this.#emit = emit
  }

  /** The key of the part that is streaming now. */
  get current(): string | null {
    return this.#open
  }

  /** Something waits for the part that is streaming now. */
  get isHolding(): boolean {
    return this.#held.length > 0
  }

  /** The part has begun and is not closed, be it streaming or held. */
  has(key: string): boolean {
    return this.#open === key || this.#heldOf(key) !== undefined
  }

  open(key: string, part: Part): void {
    if (this.#open === null) this.#begin(key, part)
    else this.#held.push({ key, part, deltas: [], isClosed: false })
  }

  /** For a part that has begun; what comes for any other is ignored. */
  delta(key: string, delta: Delta): void {
    if (this.#open === key) this.#emit({ type: 'delta', choice: this.#choice, index: this.#index, delta })
    else this.#heldOf(key)?.deltas.push(delta)
  }

  /** A part that comes whole. */
  whole(key: string, part: Part): void {
    this.open(key, part)
    this.close(key)
  }

  close(key: string): void {
    if (this.#open !== key) {
      const held = this.#heldOf(key)
      if (held !== undefined) held.isClosed = true
      return
    }
    this.#end()
    while (this.#open === null && this.#held.length > 0) {
      const next = this.#held.shift()!
      this.#begin(next.key, next.part)
      for (const delta of next.deltas) this.delta(next.key, delta)
      if (next.isClosed) this.#end()
    }
  }

  /** Closes whatever has begun, so that what was held back goes out. */
  closeAll(): void {
    for (const held of this.#held) held.isClosed = true
    if (this.#open !== null) this.close(this.#open)
  }

  #heldOf(key: string): Held | undefined {
    return this.#held.find((held) => held.key === key && !held.isClosed)
  }

  #begin(key: string, part: Part): void {
    this.#open = key
    this.#index += 1
    this.#emit({ type: 'part', choice: this.#choice, index: this.#index, part })
  }

  #end(): void {
    this.#open = null
    this.#emit({ type: 'part-end', choice: this.#choice, index: this.#index })
  }
}
