import type { Kv, Taken } from './kv.ts'

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
  let sweepAt = SWEEP_FROM

  function sweep(nowMs: number): void {
    for (const [key, window] of windows) if (window.resetMs <= nowMs) windows.delete(key)
    sweepAt = Math.max(SWEEP_FROM, windows.size * 2)
  }

  return {
    take(key, limit, { windowMs, nowMs }): Taken {
      // Windows of another length are other counters.
      const name = `${windowMs}:${key}`
      let window = windows.get(name)
      if (window === undefined || window.resetMs <= nowMs) {
        if (windows.size >= sweepAt) sweep(nowMs)
        window = { taken: 0, resetMs: Math.floor(nowMs / windowMs) * windowMs + windowMs }
        windows.set(name, window)
      }
      const allowed = window.taken < limit
      if (allowed) window.taken++
      return { allowed, remaining: Math.max(0, limit - window.taken), resetMs: window.resetMs }
    },
    ping: () => Promise.resolve(),
    close() {
      windows.clear()
      return Promise.resolve()
    },
  }
}
