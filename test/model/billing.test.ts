import { describe, expect, it } from 'vitest'
import { centsOf, givenBy, givesUntil, lookupKeyOf, type RatedSubscription } from '../../db/model/billing.ts'
import { PLANS } from '../../db/model/plans.ts'

const NOW = Date.UTC(2026, 10, 21)
const DAY = 86_400_000

function subscription(more: Partial<RatedSubscription> = {}): RatedSubscription {
  return {
    ...{ id: 'sub_1', itemId: 'si_1', status: 'active', plan: 'pro', period: 'monthly', endsAtMs: null },
    ...{ periodEndMs: NOW + 10 * DAY, endedUnpaid: false, createdAtMs: NOW - 20 * DAY, failures: 0, ...more },
  }
}

describe('givesUntil()', () => {
  const cases: [what: Partial<RatedSubscription>, untilMs: number | null][] = [
    [{}, Infinity],
    [{ status: 'trialing' }, Infinity],
    [{ status: 'past_due' }, Infinity],
    [{ status: 'past_due', failures: 2 }, Infinity],
    [{ status: 'past_due', failures: 3 }, null],
    [{ failures: 3 }, null],
    [{ plan: null }, null],
    ...['incomplete', 'incomplete_expired', 'unpaid', 'paused', 'something_new'].map(
      (status): [Partial<RatedSubscription>, null] => [{ status }, null],
    ),
    [{ endsAtMs: NOW + DAY }, NOW + DAY],
    [{ endsAtMs: NOW }, null],
    [{ endsAtMs: NOW - 1 }, null],
    [{ status: 'canceled', endsAtMs: NOW }, NOW + 10 * DAY],
    [{ status: 'canceled', endsAtMs: NOW, failures: 1 }, null],
    [{ status: 'canceled', endsAtMs: NOW, endedUnpaid: true }, null],
    [{ status: 'canceled', periodEndMs: NOW }, null],
    [{ status: 'canceled', periodEndMs: null }, null],
  ]
  it.each(cases)('%j', (what, untilMs) => {
    expect(givesUntil(subscription(what), NOW)).toBe(untilMs)
  })
})

describe('givenBy()', () => {
  const all = ['starter', 'pro', 'agency', 'gone'].flatMap((plan, at) =>
    [0, 1].map((older) => subscription({ id: `sub_${plan}_${older}`, plan, createdAtMs: NOW - at - older * DAY })),
  )

  it('is the newest of the best plan, in whatever order they are named; plans that are gone give nothing', () => {
    for (let turn = 0; turn < all.length; turn++) {
      const turned = [...all.slice(turn), ...all.slice(0, turn)]
      for (const given of [turned, turned.toReversed()]) {
        expect(givenBy(given, PLANS, NOW)?.subscription.id).toBe('sub_agency_0')
      }
    }
  })

  it('is decided again when the first of those that count ends', () => {
    const ends = [subscription({ endsAtMs: NOW + 2 * DAY }), subscription({ plan: 'starter', endsAtMs: NOW + DAY })]
    expect(givenBy(ends, PLANS, NOW)?.decideAgainMs).toBe(NOW + DAY)
    expect(givenBy([subscription()], PLANS, NOW)?.decideAgainMs).toBeNull()
  })

  it('is nothing where there is none', () => {
    expect(givenBy([], PLANS, NOW)).toBeNull()
    expect(givenBy([subscription({ status: 'unpaid' }), subscription({ plan: 'gone' })], PLANS, NOW)).toBeNull()
  })
})

describe('centsOf()', () => {
  const plan = { ...PLANS.find(({ id }) => id === 'pro')!, priceMonthlyCents: 4_900, priceYearlyCents: null }

  it('is the price of a period, and null for what is not sold', () => {
    expect([centsOf(plan, 'monthly'), centsOf(plan, 'yearly')]).toEqual([4_900, null])
    for (const off of [{ hidden: true }, { archived: true }, { priceMonthlyCents: 0 }]) {
      expect(centsOf({ ...plan, ...off }, 'monthly')).toBeNull()
    }
  })

  it('names another amount by another name', () => {
    expect(lookupKeyOf('pro', 'monthly', 4_900)).toBe('watchllm:pro:monthly:4900')
  })
})
