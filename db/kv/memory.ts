import type { Kv, Taken } from './kv.ts'

interface Window {
  taken: number
  readonly endsMs: number
}

/** Expired windows are looked for each time this many have been begun. */
const SWEEP_EVERY = 1024

/** Counters of one process: exact there, and answered without a promise. Expired windows don't pile up. */
export function memoryKv(): Kv {
  const windows = new Map<string, Window>()
  let begun = 0

  function windowAt(key: string, windowMs: number, nowMs: number): Window {
    const endsMs = (Math.floor(nowMs / windowMs) + 1) * windowMs
    const held = windows.get(key)
    if (held !== undefined && held.endsMs === endsMs) return held
    const fresh = { taken: 0, endsMs }
    windows.set(key, fresh)
    if (++begun % SWEEP_EVERY === 0) for (const [old, { endsMs: end }] of windows) if (end <= nowMs) windows.delete(old)
    return fresh
  }

  return {
    take(key, limit, { windowMs, nowMs }): Taken {
      const window = windowAt(key, windowMs, nowMs)
      const allowed = window.taken < limit
      if (allowed) window.taken++
      return { allowed, remaining: Math.max(0, limit - window.taken), resetMs: window.endsMs }
    },
    ping: async () => {},
    close: async () => windows.clear(),
  }
}
