import { expect, it, vi } from 'vitest'
import { PLANS, type Plan } from '../db/model/plans.ts'
import type { StoredPlans } from '../db/stores/plans.ts'
import { openPlans } from '../server/plans.ts'
import { handClock } from './helpers/clock.ts'

const [FREE, , PRO] = PLANS as readonly [Plan, Plan, Plan]
const NONE: StoredPlans = { plans: [], unreadable: [] }
const rows = (...plans: Plan[]): StoredPlans => ({ plans, unreadable: [] })

function house(first: StoredPlans = NONE) {
  const clock = handClock()
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const changed = vi.fn()
  const list = vi.fn(async () => first)
  return { clock, log, changed, list, plans: openPlans({ base: PLANS, store: { list }, changed, clock, log }) }
}

it('of() answers the plan of an id, and the smallest one for an id that no plan has', async () => {
  const { plans } = house()
  for (const plan of PLANS) expect(plans.of(plan.id)).toBe(plan)
  for (const id of ['gone', '', null, 'constructor', '__proto__']) expect(plans.of(id)).toBe(FREE)
})

it('a row takes the place of the plan of its id, and one of another id is added', async () => {
  const [mine, other] = [
    { ...PRO, tokensPerDay: 5 },
    { ...PRO, id: 'mine', order: 1 },
  ]
  const { plans, changed } = house(rows(mine, other))
  expect(plans.of('pro')).toBe(PRO)
  await plans.reload()
  expect(plans.of('pro')).toEqual(mine)
  expect(plans.all().map(({ id }) => id)).toEqual(['mine', 'free', 'starter', 'pro', 'agency', 'unlimited'])
  // Who is on one that comes may have been held to the smallest.
  expect(changed.mock.calls.map(([ids]) => [...ids].sort())).toEqual([['free', 'mine', 'pro']])
})

it('who is on a plan that changes is named, and nobody else', async () => {
  const { plans, changed, list } = house(rows({ ...PRO, tokensPerDay: 5 }))
  await plans.reload()
  list.mockResolvedValue(rows({ ...PRO, tokensPerDay: 5 }, { ...FREE, tokensPerDay: 6 }))
  await plans.reload()
  expect(changed.mock.calls).toEqual([[['pro']], [['free']]])
})

it('whoever is on a plan that goes away is held to the smallest from then on', async () => {
  const { plans, list, changed } = house(rows({ ...PRO, id: 'mine' }))
  await plans.reload()
  expect(plans.of('mine').requestsPerMinute).toBe(600)
  list.mockResolvedValue(NONE)
  await plans.reload()
  expect(plans.of('mine')).toBe(FREE)
  expect(changed.mock.calls.at(-1)).toEqual([['mine']])
})

it('nobody is told when nothing is other than before', async () => {
  const { plans, changed, list } = house()
  await plans.reload()
  list.mockResolvedValue(rows({ ...PRO }))
  await plans.reload()
  expect(changed).not.toHaveBeenCalled()
})

it('who asks while it is read is answered by the reading after that, whoever many they are', async () => {
  const { plans, list } = house()
  const answers: ((stored: StoredPlans) => void)[] = []
  list.mockImplementation(() => new Promise((resolve) => answers.push(resolve)))
  const first = plans.reload()
  const later = [plans.reload(), plans.reload()]
  answers[0]!(NONE)
  await first
  await vi.waitFor(() => expect(answers).toHaveLength(2))
  answers[1]!(rows({ ...PRO, name: 'Now' }))
  await Promise.all(later)
  expect(plans.of('pro').name).toBe('Now')
  expect(list).toHaveBeenCalledTimes(2)
})

it('they are read again after a minute, without a word', async () => {
  const { plans, clock, list } = house()
  await plans.reload()
  list.mockResolvedValue(rows({ ...PRO, name: 'Now' }))
  clock.advance(59_999)
  expect(list).toHaveBeenCalledTimes(1)
  clock.advance(1)
  await vi.waitFor(() => expect(plans.of('pro').name).toBe('Now'))
})

it('while the database is away those known stay, and it is asked again a minute later', async () => {
  const { plans, clock, list, log } = house(rows({ ...PRO, name: 'Before' }))
  await plans.reload()
  list.mockRejectedValueOnce(new Error('away'))
  clock.advance(60_000)
  await vi.waitFor(() => expect(log.warn).toHaveBeenCalledTimes(1))
  expect(plans.of('pro').name).toBe('Before')
  list.mockResolvedValue(rows({ ...PRO, name: 'After' }))
  await vi.waitFor(() => expect(clock.timers).toBe(1))
  clock.advance(60_000)
  await vi.waitFor(() => expect(plans.of('pro').name).toBe('After'))
})

it('a row that this version can not read is told of once, and the plan of the preset holds', async () => {
  const { plans, log } = house({ plans: [], unreadable: ['pro', 'mine'] })
  await plans.reload()
  await plans.reload()
  expect(plans.of('pro')).toBe(PRO)
  expect(plans.of('mine')).toBe(FREE)
  expect(log.error.mock.calls).toEqual([[expect.stringContaining('pro, mine')]])
})

it('after close() nothing is read any more', async () => {
  const { plans, clock, list } = house()
  await plans.reload()
  plans.close()
  clock.advance(600_000)
  expect(list).toHaveBeenCalledTimes(1)
})
