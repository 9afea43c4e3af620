import type { Counter, Kv, Taken, Verdict, Wish } from './kv.ts'

interface Window {
  taken: number
  readonly resetMs: number
}

/** Below this many windows nothing is swept. */
const SWEEP_FROM = 1_024

/**
 * For one instance: counts in this process and answers without a promise. Its memory is bounded by the keys in use:
 * windows that have ended are dropped as new ones come. Should the clock go back, the window of the later time counts on.
 */
export function memoryKv(): Kv {
  const windows = new Map<string, Window>()
  const channels = new Map<string, Set<(text: string) => void>>()
  let sweepAt = SWEEP_FROM

  function sweep(nowMs: number): void {
    for (const [key, window] of windows) if (window.resetMs <= nowMs) windows.delete(key)
    sweepAt = Math.max(SWEEP_FROM, windows.size * 2)
  }

  function open(name: string, resetMs: number, nowMs: number): Window {
    if (windows.size >= sweepAt) sweep(nowMs)
    const window = { taken: 0, resetMs }
    windows.set(name, window)
    return window
  }

  /** The counter's window; a later end begins another. */
  function windowOf({ key, endMs }: Counter, nowMs: number): Window {
    const window = windows.get(key)
    return window === undefined || window.resetMs < endMs ? open(key, endMs, nowMs) : window
  }

  function takeAll(wishes: readonly Wish[], nowMs: number): Verdict {
    const refused = takeEach(wishes, nowMs)
    const remaining: number[] = []
    for (const wish of wishes) remaining.push(Math.max(0, wish.limit - windowOf(wish, nowMs).taken))
    const resetMs = refused < 0 ? null : windowOf(wishes[refused]!, nowMs).resetMs
    return { allowed: refused < 0, refused, resetMs, remaining }
  }

  /** @returns the index that refuses; what was taken before it is put back, so that a counter may be named twice */
  function takeEach(wishes: readonly Wish[], nowMs: number): number {
    for (let at = 0; at < wishes.length; at++) {
      const wish = wishes[at]!
      const window = windowOf(wish, nowMs)
      if (window.taken + Math.max(1, wish.amount) > wish.limit) {
        for (let back = 0; back < at; back++) windowOf(wishes[back]!, nowMs).taken -= wishes[back]!.amount
        return at
      }
      window.taken += wish.amount
    }
    return -1
  }

  return {
    isAlone: true,
    takeAll,
    take(key, limit, { windowMs, nowMs }): Taken {
      // Windows of another length are other counters.
      const name = `${windowMs}:${key}`
      let window = windows.get(name)
      if (window === undefined || window.resetMs <= nowMs)
        window = open(name, Math.floor(nowMs / windowMs) * windowMs + windowMs, nowMs)
      const allowed = window.taken < limit
      if (allowed) window.taken++
      return { allowed, remaining: Math.max(0, limit - window.taken), resetMs: window.resetMs }
    },
    add(counter, amount, nowMs): void {
      const window = windowOf(counter, nowMs)
      window.taken = Math.max(0, window.taken + amount)
    },
    atLeast(counter, used, nowMs): void {
      const window = windowOf(counter, nowMs)
      window.taken = Math.max(window.taken, used)
    },
    read: (counters) =>
      counters.map(({ key, endMs }) => {
        const window = windows.get(key)
        return window === undefined || window.resetMs < endMs ? 0 : window.taken
      }),
    publish(channel, text) {
      for (const hear of [...(channels.get(channel) ?? [])]) hear(text)
      return Promise.resolve()
    },
    subscribe(channel, hear) {
      const ears = channels.get(channel) ?? new Set()
      // A listener of its own, so that the same function may listen twice.
      const ear = (text: string): void => hear(text)
      channels.set(channel, ears.add(ear))
      return Promise.resolve(() => void ears.delete(ear))
    },
    ping: () => Promise.resolve(),
    close() {
      windows.clear()
      channels.clear()
      return Promise.resolve()
    },
  }
}
