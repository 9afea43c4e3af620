import { expect, it } from 'vitest'
import { counterOf, creditsCounterOf, type Limit, limitsOf } from '../../db/model/limits.ts'
import { PLANS, type Plan } from '../../db/model/plans.ts'

const FREE_OF_LIMITS = PLANS.find(({ id }) => id === 'unlimited')!
const IDS = { keyId: 'key_1', projectId: 'prj_1', organizationId: 'org_1' }
const MEMBERS = [
  ['requestsPerMinute', 'requests', 'minute'],
  ['tokensPerMinute', 'tokens', 'minute'],
  ['requestsPerDay', 'requests', 'day'],
  ['tokensPerDay', 'tokens', 'day'],
  ['requestsPerMonth', 'requests', 'month'],
  ['tokensPerMonth', 'tokens', 'month'],
] as const

it('nothing limits where nothing is said, and that is always the same empty list', () => {
  const own = { requestsPerMinute: null, tokensPerDay: null }
  expect(limitsOf({ ...IDS, plan: FREE_OF_LIMITS })).toEqual([])
  expect(limitsOf({ ...IDS, plan: FREE_OF_LIMITS, key: own, project: own, budgets: [] })).toBe(
    limitsOf({ ...IDS, plan: FREE_OF_LIMITS }),
  )
})

it.each(MEMBERS)(
  '%s of key, project and plan are limits of %s a %s, each with a counter of its own',
  (name, what, period) => {
    const own = (limit: number) => ({ requestsPerMinute: null, [name]: limit })
    const plan: Plan = { ...FREE_OF_LIMITS, [name]: 30 }
    const base = { what, period, anchorMs: null, hard: true }
    expect(limitsOf({ ...IDS, plan, key: own(10), project: own(20) })).toEqual([
      { ...base, of: 'key', by: 'settings', limit: 10, counter: counterOf(what, period, 'key_1') },
      { ...base, of: 'project', by: 'settings', limit: 20, counter: counterOf(what, period, 'prj_1') },
      { ...base, of: 'organization', by: 'plan', limit: 30, counter: counterOf(what, period, 'org_1') },
    ])
  },
)

it('a plan limits a month of spending in nano-dollars', () => {
  const [found] = limitsOf({ ...IDS, plan: { ...FREE_OF_LIMITS, spendPerMonth: '12.5' } })
  expect(found).toMatchObject({ of: 'organization', what: 'spend', period: 'month', limit: 12_500_000_000 })
})

it('budgets stand beside the rest: the narrowest owner first, then the shortest period', () => {
  const budget = (of: Limit['of'], period: Limit['period'], id: string): Limit => ({
    ...{ of, by: id, what: 'spend', period, anchorMs: 5, limit: 1, hard: false, counter: `bud:${id}:0` },
  })
  const budgets = [
    budget('project', 'total', 'bud_1'),
    budget('key', 'day', 'bud_2'),
    budget('project', 'day', 'bud_3'),
  ]
  const key = { requestsPerMinute: 1, tokensPerMonth: 2 }
  const plan = { ...FREE_OF_LIMITS, requestsPerMinute: 9 }
  const found = limitsOf({ ...IDS, plan, key, budgets })
  expect(found.map(({ of, by, period }) => [of, by, period])).toEqual([
    ['key', 'settings', 'minute'],
    ['key', 'bud_2', 'day'],
    ['key', 'settings', 'month'],
    ['project', 'bud_3', 'day'],
    ['project', 'bud_1', 'total'],
    ['organization', 'plan', 'minute'],
  ])
  expect(new Set([...found.map(({ counter }) => counter), creditsCounterOf('org_1')]).size).toBe(7)
})
