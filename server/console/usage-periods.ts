/** Times of reports are UTC; epoch milliseconds, on the border of a day unless said otherwise. */
const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

export function dayOf(epochMs: number): number {
  return Math.floor(epochMs / DAY_MS) * DAY_MS
}

/** The first of the month. */
export function monthOf(epochMs: number): number {
  const at = new Date(epochMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1)
}

/** `2026-05-17` */
export function dateOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}

/** The hour's beginning: reports from hourly sums count its whole hour when a time lies within it. */
export function hourFrom(epochMs: number): number {
  return Math.floor(epochMs / HOUR_MS) * HOUR_MS
}

/** The hour's end, the time itself if it is one. */
export function hourTo(epochMs: number): number {
  return Math.ceil(epochMs / HOUR_MS) * HOUR_MS
}
