/**
 * A cache that holds at most twice `size` entries, for keys that callers choose. Two generations instead of a linked
 * list: what was used since the last turn survives it, so a flood of strange names can't push out those in use, and a
 * hit costs one Map lookup.
 */
export class Bounded<V> {
  readonly #size: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  constructor(size: number) {
    this.#size = size
  }

  /** Entries held, at most twice the size. */
  get count(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const kept = this.#old.get(key)
    if (kept !== undefined) {
      this.#old.delete(key)
      this.set(key, kept)
    }
    return kept
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#size && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
