import { describe, expect, it } from 'vitest'
import {
  firstOf,
  mergePlans,
  PLANS,
  type Plan,
  planFileSchema,
  planSchema,
  readPlan,
  smallestOf,
  spendNanoOf,
} from '../../db/model/plans.ts'
import shipped from '../../db/presets/plans.json' with { type: 'json' }
import byTokens from '../../db/presets/plans-by-tokens.json' with { type: 'json' }

/** What a file must say of a plan. */
const LEAST = { id: 'some', name: 'Some', requestsPerMinute: 1, requestsPerMonth: 2, tokensPerDay: 3 }
const plan = (more: object = {}): Plan => planSchema.parse({ ...LEAST, ...more })

describe('the presets', () => {
  it('the shipped one has the plans of the contract', () => {
    const shown = PLANS.map(({ name, requestsPerMinute, requestsPerMonth }) => [
      name,
      requestsPerMinute,
      requestsPerMonth,
    ])
    expect(shown).toEqual([
      ['Free', 10, 10_000],
      ['Starter', 60, 100_000],
      ['Pro', 600, 1_000_000],
      ['Agency', 6_000, 10_000_000],
      ['Unlimited', null, null],
    ])
  })

  it('the other one has the plans of the contract, and takes the place of the shipped ones', () => {
    const { replace, plans } = planFileSchema.parse(byTokens)
    expect(replace).toBe(true)
    expect(plans.map(({ name, requestsPerMinute, tokensPerDay }) => [name, requestsPerMinute, tokensPerDay])).toEqual([
      ['Basic', 60, 500_000],
      ['Pro', 120, 2_000_000],
      ['Enterprise', 300, 6_000_000],
      ['Unlimited', null, null],
    ])
    expect(firstOf(plans).id).toBe('basic')
  })

  it('every shipped plan but the unlimited one has a limit of tokens a day, and each more than the one before', () => {
    const limits = PLANS.map(({ tokensPerDay }) => tokensPerDay)
    expect(limits.pop()).toBeNull()
    expect(limits.every((limit) => limit !== null && limit > 0)).toBe(true)
    expect([...limits].sort((a, b) => a! - b!)).toEqual(limits)
  })

  it.each([
    ['shipped', shipped],
    ['other', byTokens],
  ])(
    'plans of the %s one are in order, unlike, begin with one that is free, and cost more the more they allow',
    (_, file) => {
      const { plans } = planFileSchema.parse(file)
      expect(new Set(plans.map(({ id }) => id)).size).toBe(plans.length)
      expect(mergePlans(plans, [])).toEqual(plans)
      for (const prices of [plans.map((one) => one.priceMonthlyCents), plans.map((one) => one.priceYearlyCents)]) {
        expect(prices[0]).toBe(0)
        const sold = prices.filter((price) => price !== null)
        expect([...new Set(sold)].sort((a, b) => a - b)).toEqual(sold)
      }
      expect(smallestOf(plans)).toBe(plans[0])
    },
  )
})

describe('a plan of a file', () => {
  it('needs no member that came later: there is none of it, and it is on offer', () => {
    expect(planSchema.parse(LEAST)).toEqual({
      ...LEAST,
      ...{ requestsPerDay: null, tokensPerMinute: null, tokensPerMonth: null, spendPerMonth: null },
      ...{ allowedModels: null, priceMonthlyCents: null, priceYearlyCents: null, order: null },
      ...{ hidden: false, archived: false },
    })
  })

  it('is the same once read', () => {
    for (const one of PLANS) expect(planSchema.parse(one)).toEqual(one)
  })

  it('no limit is null, not absence', () => {
    expect(planSchema.safeParse({ ...LEAST, requestsPerMinute: null }).success).toBe(true)
  })

  const limits = ['requestsPerMinute', 'requestsPerDay', 'requestsPerMonth']
  const tokens = ['tokensPerMinute', 'tokensPerDay', 'tokensPerMonth']
  const bad = [0, -1, 1.5, '10', Infinity, Number.NaN, true, 2 ** 53]
  const refused: [member: string, value: unknown][] = [
    ...[...limits, ...tokens].flatMap((member) => bad.map((value): [string, unknown] => [member, value])),
    ...['0', '0.0', '-1', '1e3', '1,5', '.5', '5.', '', ' 1', '1000000', '0.0000000001', 5].map(
      (value): [string, unknown] => ['spendPerMonth', value],
    ),
    ...[[], [''], ['x'.repeat(201)], 'gpt-4o'].map((value): [string, unknown] => ['allowedModels', value]),
    ...['priceMonthlyCents', 'priceYearlyCents'].flatMap((member) =>
      [-1, 0.5, '19', 1e9].map((value): [string, unknown] => [member, value]),
    ),
    ['requestsPerMinute', undefined],
    ['requestsPerMonth', undefined],
    ['tokensPerDay', undefined],
    ['order', 1.5],
    ['hidden', 'yes'],
    ['archived', 1],
    ['colour', 'red'],
    ['id', 'Free'],
    ['id', ''],
    ['id', 'a'.repeat(33)],
    ['name', ''],
    ['name', 'x'.repeat(65)],
  ]
  it.each(refused)('with %s of %j is refused', (member, value) => {
    expect(planSchema.safeParse({ ...LEAST, [member]: value }).success).toBe(false)
  })

  const spends: [usd: string, nano: number][] = [
    ['250', 250_000_000_000],
    ['0.5', 500_000_000],
    ['0.000000001', 1],
    ['999999.999999999', 999_999_999_999_999],
  ]
  it.each(spends)('may spend %s USD a month, which is %d nano-dollars', (spendPerMonth, nano) => {
    expect(spendNanoOf(plan({ spendPerMonth }))).toBe(nano)
  })

  it('without a limit of spend has none', () => {
    expect(spendNanoOf(plan())).toBeNull()
  })
})

describe('a plan that was kept', () => {
  it('is read by an older version without what that does not know', () => {
    expect(readPlan({ ...plan(), invented: 'later' })).toEqual(plan())
    expect(readPlan(LEAST)).toEqual(plan())
  })

  it.each([null, undefined, {}, [], 'plan', { ...LEAST, tokensPerDay: 'many' }])('%j is none', (content) => {
    expect(readPlan(content)).toBeNull()
  })
})

describe('mergePlans()', () => {
  it('puts each in the place of the one of its id, adds the others, and goes by their order', () => {
    const base = [plan({ id: 'a', order: 1 }), plan({ id: 'b', order: 2 }), plan({ id: 'c' })]
    const more = [plan({ id: 'd', order: 2 }), plan({ id: 'a', order: 9, name: 'Changed' })]
    expect(mergePlans(base, more).map(({ id, name }) => [id, name])).toEqual([
      ['b', 'Some'],
      ['d', 'Some'],
      ['a', 'Changed'],
      ['c', 'Some'],
    ])
    expect(base.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })
})

describe('smallestOf()', () => {
  const sizes: [name: string, smaller: object, larger: object][] = [
    ['requests a minute', { requestsPerMinute: 5 }, { requestsPerMinute: 6 }],
    ['a limit and none', { requestsPerMinute: 5 }, { requestsPerMinute: null }],
    ['requests a minute before all else', { requestsPerMinute: 5, requestsPerMonth: null }, { requestsPerMinute: 6 }],
    ['requests a day', { requestsPerDay: 5 }, { requestsPerDay: null }],
    ['requests a month', { requestsPerMonth: 1 }, {}],
    ['tokens a minute', { tokensPerMinute: 1 }, {}],
    ['tokens a day', { tokensPerDay: 2 }, {}],
    ['tokens a month', { tokensPerMonth: 1 }, {}],
    ['spend', { spendPerMonth: '9' }, { spendPerMonth: '10' }],
    ['spend and none', { spendPerMonth: '9' }, {}],
    ['nothing, when it is offered', {}, { requestsPerMinute: null }],
  ]
  it.each(sizes)('goes by %s', (_, smaller, larger) => {
    const [one, other] = [plan({ id: 'one', ...smaller }), plan({ id: 'other', ...larger })]
    expect(smallestOf([one, other])).toBe(one)
    expect(smallestOf([other, one])).toBe(one)
  })

  it('takes none that is hidden or archived, while there is another', () => {
    const [hidden, archived] = [plan({ id: 'hidden', hidden: true }), plan({ id: 'archived', archived: true })]
    const large = plan({ id: 'large', requestsPerMinute: null })
    expect(smallestOf([hidden, archived, large])).toBe(large)
    expect(smallestOf([archived])).toBe(archived)
  })
})

describe('firstOf()', () => {
  it('is the one called free, hidden or not, unless it is archived: then the smallest', () => {
    const free = plan({ id: 'free', requestsPerMinute: 99, hidden: true })
    const small = plan({ id: 'small' })
    expect(firstOf([small, free])).toBe(free)
    expect(firstOf([small, { ...free, archived: true }])).toBe(small)
    expect(firstOf([small])).toBe(small)
  })
})
