import { expect, it } from 'vitest'
import { PLANS, planSchema } from '../../db/model/plans.ts'

it('the shipped plans are the ones of the contract', () => {
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

it('every shipped plan but the unlimited one has a limit of tokens a day, and each more than the one before', () => {
  const limits = PLANS.map(({ tokensPerDay }) => tokensPerDay)
  expect(limits.pop()).toBeNull()
  expect(limits.every((limit) => limit !== null && limit > 0)).toBe(true)
  expect([...limits].sort((a, b) => a! - b!)).toEqual(limits)
})

it('every shipped plan passes the schema, and ids are unique', () => {
  for (const plan of PLANS) expect(planSchema.parse(plan)).toEqual(plan)
  expect(new Set(PLANS.map(({ id }) => id)).size).toBe(PLANS.length)
})

it.each([
  ['an unknown member', { colour: 'red' }],
  ['a limit of 0', { requestsPerMinute: 0 }],
  ['a negative limit', { tokensPerDay: -1 }],
  ['a fraction', { requestsPerMonth: 1.5 }],
  ['a limit as text', { requestsPerMinute: '10' }],
  ['a limit that is not said', { requestsPerMinute: undefined }],
  ['an infinite limit', { requestsPerMinute: Infinity }],
  ['an id with capitals', { id: 'Free' }],
  ['an empty id', { id: '' }],
  ['a long id', { id: 'a'.repeat(33) }],
  ['no name', { name: '' }],
])('a plan with %s is refused', (_, change) => {
  expect(planSchema.safeParse({ ...PLANS[0], ...change }).success).toBe(false)
})

it('no limit is null, not absence', () => {
  expect(planSchema.safeParse({ ...PLANS[0], requestsPerMinute: null }).success).toBe(true)
})
