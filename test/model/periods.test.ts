import { describe, expect, it } from 'vitest'
import type { LimitPeriod } from '../../db/model/limits.ts'
import { periodOf } from '../../db/model/periods.ts'
import { chance } from '../db/usage-history.ts'

const DAY_MS = 86_400_000
const PERIODS: readonly LimitPeriod[] = ['minute', 'day', 'week', 'month']
const iso = (ms: number): string => new Date(ms).toISOString()
const at = (text: string): number => Date.parse(text)

describe('periodOf()', () => {
  it.each([
    ['minute', '2026-05-17T12:34:56.789Z', '2026-05-17T12:34:00.000Z', '2026-05-17T12:35:00.000Z'],
    ['day', '2026-02-28T23:59:59.999Z', '2026-02-28T00:00:00.000Z', '2026-03-01T00:00:00.000Z'],
    // A Sunday, and the Monday after it.
    ['week', '2026-05-17T23:59:59.999Z', '2026-05-11T00:00:00.000Z', '2026-05-18T00:00:00.000Z'],
    ['week', '2026-05-18T00:00:00.000Z', '2026-05-18T00:00:00.000Z', '2026-05-25T00:00:00.000Z'],
    ['month', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
    ['month', '2028-02-29T12:00:00.000Z', '2028-02-01T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
  ] as const)('a calendar %s at %s lies where the calendar says', (period, now, start, end) => {
    const { startMs, endMs } = periodOf({ period, anchorMs: null }, at(now))
    expect([iso(startMs), iso(endMs)]).toEqual([start, end])
  })

  it.each([
    [
      'day',
      '2026-01-01T10:30:00.000Z',
      '2026-05-17T10:29:59.999Z',
      '2026-05-16T10:30:00.000Z',
      '2026-05-17T10:30:00.000Z',
    ],
    [
      'week',
      '2026-05-13T10:30:00.000Z',
      '2026-05-20T10:30:00.000Z',
      '2026-05-20T10:30:00.000Z',
      '2026-05-27T10:30:00.000Z',
    ],
    [
      'month',
      '2026-01-31T10:30:00.000Z',
      '2026-02-28T10:29:59.999Z',
      '2026-01-31T10:30:00.000Z',
      '2026-02-28T10:30:00.000Z',
    ],
    [
      'month',
      '2026-01-31T10:30:00.000Z',
      '2026-03-01T00:00:00.000Z',
      '2026-02-28T10:30:00.000Z',
      '2026-03-31T10:30:00.000Z',
    ],
    [
      'month',
      '2024-01-31T00:00:00.000Z',
      '2024-03-30T23:59:59.999Z',
      '2024-02-29T00:00:00.000Z',
      '2024-03-31T00:00:00.000Z',
    ],
    [
      'month',
      '2026-01-15T10:30:00.000Z',
      '2027-01-15T10:30:00.000Z',
      '2027-01-15T10:30:00.000Z',
      '2027-02-15T10:30:00.000Z',
    ],
  ] as const)('a %s from %s on, at %s, begins at multiples of it', (period, anchor, now, start, end) => {
    const { startMs, endMs } = periodOf({ period, anchorMs: at(anchor) }, at(now))
    expect([iso(startMs), iso(endMs)]).toEqual([start, end])
  })

  it('every time is in exactly one period, and the next one begins where it ends', () => {
    const of = chance(7)
    for (let i = 0; i < 20_000; i++) {
      const period = PERIODS[of(PERIODS.length)]!
      const anchorMs = of(4) === 0 ? null : at('2024-01-01T00:00:00Z') + of(800) * DAY_MS + of(DAY_MS)
      // Before the anchor as well: a counter has to have some name.
      const nowMs = at('2023-06-01T00:00:00Z') + of(1_600) * DAY_MS + of(DAY_MS)
      const { startMs, endMs } = periodOf({ period, anchorMs }, nowMs)
      const told = [period, anchorMs, iso(nowMs)]
      expect([told, startMs <= nowMs && nowMs < endMs]).toEqual([told, true])
      expect([told, periodOf({ period, anchorMs }, endMs).startMs]).toEqual([told, endMs])
      expect([told, periodOf({ period, anchorMs }, startMs)]).toEqual([told, { startMs, endMs }])
      if (anchorMs !== null) expect(periodOf({ period, anchorMs }, anchorMs).startMs).toBe(anchorMs)
    }
  })

  it('a total never ends, and begins with its anchor', () => {
    const endMs = Number.MAX_SAFE_INTEGER
    expect(periodOf({ period: 'total', anchorMs: null }, 5)).toEqual({ startMs: 0, endMs })
    expect(periodOf({ period: 'total', anchorMs: 3 }, 5)).toEqual({ startMs: 3, endMs })
  })
})
