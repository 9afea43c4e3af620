import { randomFillSync } from 'node:crypto'
import type { Clock, Random } from '../deps.ts'

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(afterMs, callback) {
    const timer = setTimeout(callback, afterMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

const POOL_BYTES = 4096

/** The machine's own randomness, drawn from the kernel a page at a time: one call costs more than 4 kB. */
export function systemRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES)
  let at = POOL_BYTES
  return {
    bytes(length) {
      if (at + length > POOL_BYTES) {
        randomFillSync(pool)
        at = 0
      }
      at += length
      return pool.slice(at - length, at)
    },
  }
}
