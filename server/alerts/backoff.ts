import type { Random } from '../deps.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** Waits before the second attempt, the third, …: the last one is made within a day after the first. */
export const WAITS_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  6 * HOUR_MS,
]
/** So much of a wait may be missing, so that what failed together doesn't come back together. */
const JITTER = 0.15

/** @returns milliseconds until the attempt after this one, counted from 1; null: it was the last */
export function waitAfter(attempt: number, random: Random): number | null {
  const wait = WAITS_MS[attempt - 1]
  if (wait === undefined) return null
  const share = new DataView(random.bytes(4).slice().buffer).getUint32(0) / 2 ** 32
  return Math.round(wait * (1 - JITTER * share))
}
