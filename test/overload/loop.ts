import type { Clock, Timer } from '../../server/deps.ts'

/**
 * An event loop in simulated time: one thread that takes, turn by turn, whatever is due when the turn begins, and spends
 * time on each. Timers ring between turns only, as in a real one; so whoever watches them sees how late it is.
 */
export class Loop implements Clock {
  #nowMs = 0
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()
  readonly #events = new Heap()

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  timer(afterMs: number, callback: () => void): Timer {
    const alarm = { atMs: this.#nowMs + afterMs, callback }
    this.#timers.add(alarm)
    return { cancel: () => void this.#timers.delete(alarm) }
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Something comes in from outside at that time; the loop finds it in its next turn. */
  at(atMs: number, happen: () => void): void {
    this.#events.push(atMs, happen)
  }

  /** The thread is busy for so long. */
  spend(ms: number): void {
    this.#nowMs += ms
  }

  /** Goes on until that time. */
  run(untilMs: number): void {
    while (this.#nowMs < untilMs) {
      let next = this.#events.nextMs
      for (const { atMs } of this.#timers) next = Math.min(next, atMs)
      if (next > this.#nowMs) this.#nowMs = Math.min(next, untilMs)
      const began = this.#nowMs
      for (const alarm of [...this.#timers]) {
        if (alarm.atMs > began) continue
        this.#timers.delete(alarm)
        alarm.callback()
      }
      while (this.#events.nextMs <= began) this.#events.pop()()
    }
  }
}

/** What comes first comes out first. */
class Heap {
  readonly #times: number[] = []
  readonly #things: (() => void)[] = []

  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY
  }

  push(atMs: number, thing: () => void): void {
    let at = this.#times.length
    while (at > 0) {
      const above = (at - 1) >> 1
      if (this.#times[above]! <= atMs) break
      this.#put(at, above)
      at = above
    }
    this.#times[at] = atMs
    this.#things[at] = thing
  }

  pop(): () => void {
    const first = this.#things[0]!
    const lastMs = this.#times.pop()!
    const last = this.#things.pop()!
    const { length } = this.#times
    let at = 0
    for (let below = 1; below < length; below = 2 * at + 1) {
      if (below + 1 < length && this.#times[below + 1]! < this.#times[below]!) below++
      if (this.#times[below]! >= lastMs) break
      this.#put(at, below)
      at = below
    }
    if (length > 0) {
      this.#times[at] = lastMs
      this.#things[at] = last
    }
    return first
  }

  #put(to: number, from: number): void {
    this.#times[to] = this.#times[from]!
    this.#things[to] = this.#things[from]!
  }
}
