import type { Limit } from './limits.ts'

/** One period of a limit in epoch milliseconds; its end is not in it. */
export interface Period {
  readonly startMs: number
  /** MAX_SAFE_INTEGER: it never ends. */
  readonly endMs: number
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const WEEK_MS = 7 * DAY_MS
/** The epoch began on a Thursday: the first Monday is this far behind it. */
const FIRST_MONDAY_MS = 4 * DAY_MS

/**
 * The period in which a limit counts at a time: with the calendar (UTC, weeks from Monday) or from its anchor on. A month
 * from the 31st on begins on the last day of the months that have none.
 */
export function periodOf({ period, anchorMs }: Pick<Limit, 'period' | 'anchorMs'>, nowMs: number): Period {
  switch (period) {
    case 'minute':
      return even(MINUTE_MS, anchorMs ?? 0, nowMs)
    case 'day':
      return even(DAY_MS, anchorMs ?? 0, nowMs)
    case 'week':
      return even(WEEK_MS, anchorMs ?? FIRST_MONDAY_MS, nowMs)
    case 'month':
      return monthOf(anchorMs ?? 0, nowMs)
    case 'total':
      return { startMs: anchorMs ?? 0, endMs: Number.MAX_SAFE_INTEGER }
  }
}

function even(lengthMs: number, anchorMs: number, nowMs: number): Period {
  const startMs = anchorMs + Math.floor((nowMs - anchorMs) / lengthMs) * lengthMs
  return { startMs, endMs: startMs + lengthMs }
}

/** Months from the epoch on are those of the calendar. */
function monthOf(anchorMs: number, nowMs: number): Period {
  const anchor = new Date(anchorMs)
  const now = new Date(nowMs)
  const passed = (now.getUTCFullYear() - anchor.getUTCFullYear()) * 12 + now.getUTCMonth() - anchor.getUTCMonth()
  const thisMonthMs = plusMonths(anchor, passed)
  return thisMonthMs <= nowMs
    ? { startMs: thisMonthMs, endMs: plusMonths(anchor, passed + 1) }
    : { startMs: plusMonths(anchor, passed - 1), endMs: thisMonthMs }
}

function plusMonths(anchor: Date, months: number): number {
  const year = anchor.getUTCFullYear()
  const month = anchor.getUTCMonth() + months
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  const midnightMs = Date.UTC(year, month, Math.min(anchor.getUTCDate(), lastDay))
  // Whole days have the same length in UTC: what is left is the time of day.
  return midnightMs + (((anchor.getTime() % DAY_MS) + DAY_MS) % DAY_MS)
}
