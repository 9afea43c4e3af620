import { randomFillSync } from 'node:crypto'
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
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

/** Bytes that this process may use: of its container, or of the machine. */
export function memoryLimit(): number {
  const all = totalmem()
  // Not on every runtime; and where nothing is limited it is none, or more than there is.
  const { constrainedMemory } = process as { constrainedMemory?: () => number | undefined }
  const allowed = constrainedMemory?.() ?? 0
  return allowed > 0 && allowed < all ? allowed : all
}

/** The memory of this process by what is in use, not by what the system was asked for: that is seldom given back. */
export function systemMemory(): { readonly limitBytes: number; inUse(): number } {
  const limit = memoryLimit()
  // Bun's heap has no limit of its own, and is told with what lies outside of it.
  const isBun = 'Bun' in globalThis
  const heapLimit = isBun ? limit : getHeapStatistics().heap_size_limit
  return {
    limitBytes: Math.min(limit, heapLimit),
    inUse() {
      const { heapUsed, external } = process.memoryUsage()
      return Math.max(heapUsed / heapLimit, (heapUsed + (isBun ? 0 : external)) / limit)
    },
  }
}
