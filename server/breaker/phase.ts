/**
 * How it stands with an account over all instances, as one number that only grows: of two the higher is the later. So
 * words may come late, twice and in any order, and a counter that can be raised but not lowered can keep it.
 *
 * Odd: open until half of it, in epoch milliseconds. Even: closed. 0: nothing was ever said.
 */

/** How long an open breaker keeps calls away before one may try. */
export const OPEN_MS = 600_000

export function isOpenPhase(phase: number): boolean {
  return phase % 2 === 1
}

/** Of an open one: when a call may try, epoch milliseconds. */
export function endOf(phase: number): number {
  return (phase - 1) / 2
}

/** Open until then, and later than the phase before it, whatever the clock of whoever made that. */
export function openedAfter(phase: number, untilMs: number): number {
  return Math.max(2 * untilMs + 1, isOpenPhase(phase) ? phase + 2 : phase + 1)
}

/** What closes an open one, and nothing later than it. */
export function closedAfter(phase: number): number {
  return isOpenPhase(phase) ? phase + 1 : phase
}

/** Closed, and later than the phase before it, open or not. */
export function clearedAfter(phase: number): number {
  return isOpenPhase(phase) ? phase + 1 : phase + 2
}

/** What closes all that was opened before now. */
export function resetAt(nowMs: number): number {
  return 2 * (nowMs + OPEN_MS) + 2
}
