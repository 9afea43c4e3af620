import { describe, expect, it } from 'vitest'
import { daysBetween, type Figures, NO_FIGURES } from '../../db/model/reconcile.ts'
import { COST_FLOOR_PICO, compare, percentOf } from '../../server/reconcile/compare.ts'
import { picoOf } from '../../server/reconcile/pages.ts'
import { Random } from '../helpers/random.ts'

describe('picoOf()', () => {
  it.each([
    ['0', 12, 0n],
    ['0E-6176', 12, 0n],
    ['0.06', 12, 60_000_000_000n],
    ['123.45', 10, 1_234_500_000_000n],
    ['1e-7', 12, 100_000n],
    ['1.5E3', 12, 1_500_000_000_000_000n],
    ['-2.5', 10, -25_000_000_000n],
    ['0.0000000000004', 12, 0n],
    ['0.0000000000005', 12, 1n],
    ['-0.0000000000005', 12, -1n],
    ['1.', 12, 1_000_000_000_000n],
    ['1e-9999', 12, 0n],
  ])('reads %s in units of 10^%i pico-dollars exactly', (text, exponent, pico) => {
    expect(picoOf(text, exponent)).toBe(pico)
  })

  it.each(['', ' 1', '1,5', '.5', 'NaN', 'Infinity', '1e', '0x1', '1e99999', '1e40', '9'.repeat(61), 'USD 1'])(
    'refuses %s',
    (text) => expect(picoOf(text, 12)).toBeNull(),
  )

  it('reads what any amount of pico-dollars is written as', () => {
    const random = new Random(5)
    for (let times = 0; times < 2_000; times++) {
      const pico = BigInt(random.int(2 ** 31)) * 10n ** BigInt(random.int(20)) + BigInt(random.int(1_000))
      const digits = pico.toString().padStart(13, '0')
      expect(picoOf(`${digits.slice(0, -12)}.${digits.slice(-12)}`, 12)).toBe(pico)
      expect(picoOf(`${pico}e-10`, 10)).toBe(pico)
    }
  })
})

const some = (more: Partial<Figures> = {}): Figures => ({
  ...{ requests: 10, input: 1_000, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, output: 500 },
  costPico: 100n * COST_FLOOR_PICO,
  ...more,
})

/** What becomes of one model. */
function statusOf(ours: Figures | null, theirs: Figures | null, ppm = 10_000): string {
  const side = (figures: Figures | null) => new Map(figures === null ? [] : [['m', figures]])
  return compare(side(ours), side(theirs), ppm).rows[0]!.status
}

describe('compare()', () => {
  it('lets both sides differ by the tolerance of the larger, and not by one more', () => {
    expect(statusOf(some({ input: 990 }), some())).toBe('ok')
    expect(statusOf(some({ input: 989 }), some())).toBe('off')
    expect(statusOf(some(), some({ input: 990 }))).toBe('ok')
    expect(statusOf(some(), some({ input: 989 }))).toBe('off')
    expect(statusOf(some({ input: 999 }), some(), 0)).toBe('off')
  })

  it('takes less than a cent between costs for rounding', () => {
    expect(statusOf(some(), some({ costPico: 100n * COST_FLOOR_PICO + COST_FLOOR_PICO - 1n }), 0)).toBe('ok')
    expect(statusOf(some(), some({ costPico: 101n * COST_FLOOR_PICO }), 0)).toBe('off')
    expect(statusOf(some(), some({ costPico: -100n * COST_FLOOR_PICO }), 0)).toBe('off')
  })

  it('doesn’t judge what a provider doesn’t say', () => {
    expect(statusOf(some(), { ...NO_FIGURES, input: 1_000 }, 0)).toBe('ok')
    expect(statusOf(some({ requests: 3 }), { ...NO_FIGURES, requests: 4 }, 0)).toBe('off')
    expect(statusOf(some({ requests: 3 }), some({ requests: 4 }), 0)).toBe('ok')
  })

  it('names the side that has nothing', () => {
    expect(statusOf(null, some())).toBe('missing_ours')
    expect(statusOf(some(), null)).toBe('missing_theirs')
    // Failed calls, and calls that cost nothing, leave no trace at a provider.
    const nothing = { input: 0, output: 0, costPico: 0n }
    expect(statusOf(some({ ...nothing, requests: 5 }), null)).toBe('ok')
    expect(statusOf(null, some({ ...nothing, requests: 0 }))).toBe('ok')
  })

  it('adds both sides up over all models', () => {
    const { ours, theirs } = compare(
      new Map([['a', some()]]),
      new Map([
        ['a', some()],
        ['b', some()],
      ]),
      0,
    )
    expect([ours.input, theirs.input, theirs.costPico]).toEqual([1_000, 2_000, 200n * COST_FLOOR_PICO])
    expect(compare(new Map([['a', some()]]), new Map(), 0).theirs).toEqual(NO_FIGURES)
  })

  it('is the same whichever side is called ours, but for who misses what', () => {
    const random = new Random(9)
    const any = () =>
      some({ input: random.int(50), output: random.int(50), costPico: BigInt(random.int(9)) * COST_FLOOR_PICO })
    for (let times = 0; times < 500; times++) {
      const [a, b, ppm] = [any(), any(), random.int(500_000)]
      expect(statusOf(a, b, ppm) === 'ok').toBe(statusOf(b, a, ppm) === 'ok')
    }
  })
})

it('percentOf() is of theirs, and of nothing there is none', () => {
  expect(percentOf(99, 100)).toBe(-1)
  expect(percentOf(1, 3)).toBe(-66.6667)
  expect(percentOf(3n, 2n)).toBe(50)
  expect(percentOf(3, 0)).toBeNull()
  expect(percentOf(3, null)).toBeNull()
})

it('daysBetween() has both ends, over months and leap days', () => {
  expect(daysBetween('2028-02-28', '2028-03-01')).toEqual(['2028-02-28', '2028-02-29', '2028-03-01'])
  expect(daysBetween('2026-03-01', '2026-02-28')).toEqual([])
})
