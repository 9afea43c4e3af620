import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { PLANS } from '../../db/model/plans.ts'
import type { Person } from '../../server/deps.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { as, type Called, messageOf, newMember, outcome } from './callers.ts'
import { newPlanId } from './stage.ts'

let house: ConsoleApp
let runner: Person
let api: Called
beforeAll(async () => {
  house = await consoleApp()
  runner = await house.person({ operator: true })
  api = await as(house, runner)
}, 120_000)
afterAll(() => house?.close())

const offered = async () => (await (await as(house, null)).plans.list({})).data
const entriesAbout = (id: string) =>
  house.database.database.db
    .selectFrom('audit_log')
    .selectAll()
    .where('target_type', '=', 'plan')
    .where('target_id', '=', id)
    .orderBy('id')
    .execute()

describe('plans.list', () => {
  it('shows anybody what is on offer with its price, in order, and nothing else', async () => {
    const plans = await offered()
    expect(plans.map(({ id, price_monthly_cents }) => [id, price_monthly_cents])).toEqual([
      ['free', 0],
      ['starter', 1_900],
      ['pro', 9_900],
      ['agency', 49_900],
    ])
    expect(plans[0]).toEqual({
      ...{ id: 'free', name: 'Free', order: 10, allowed_models: null, spend_per_month: null },
      ...{ requests_per_minute: 10, requests_per_day: null, requests_per_month: 10_000 },
      ...{ tokens_per_minute: null, tokens_per_day: 100_000, tokens_per_month: null },
      ...{ price_monthly_cents: 0, price_yearly_cents: 0 },
    })
  })

  it('leaves out what is hidden or archived', async () => {
    const [hidden, archived] = [newPlanId(), newPlanId()]
    await api.platform.createPlan({ id: hidden, name: 'Hidden', hidden: true })
    await api.platform.createPlan({ id: archived, name: 'Archived' })
    expect((await offered()).map(({ id }) => id)).toContain(archived)
    await api.platform.archivePlan({ id: archived })
    const ids = (await offered()).map(({ id }) => id)
    expect([ids.includes(hidden), ids.includes(archived), ids.includes('unlimited')]).toEqual([false, false, false])
  })
})

describe('platform.plans', () => {
  it('shows all of them, which were changed, and how many organizations are on each', async () => {
    const { data } = await api.platform.plans({})
    const ids = data.map(({ id }) => id)
    for (const { id } of PLANS) expect(ids).toContain(id)
    const agency = data.find(({ id }) => id === 'agency')!
    expect(agency).toMatchObject({ changed: false, hidden: false, archived: false })
    await house.organization({ plan: 'agency' })
    const after = (await api.platform.plans({})).data.find(({ id }) => id === 'agency')!
    expect(after.organizations).toBe(agency.organizations + 1)
  })
})

describe('platform.createPlan', () => {
  it('makes a plan with what is said, without a limit where nothing is, and writes it down', async () => {
    const id = newPlanId()
    const input = {
      name: ' Team ',
      requests_per_minute: 5,
      spend_per_month: '12.5',
      price_monthly_cents: 100,
      order: 25,
    }
    const made = await api.platform.createPlan({ id, ...input, allowed_models: ['openai/gpt-4o', 'anthropic/*'] })
    expect(made).toMatchObject({ ...input, id, name: 'Team', changed: true, organizations: 0, tokens_per_day: null })
    expect(made.allowed_models).toEqual(['openai/gpt-4o', 'anthropic/*'])
    expect((await offered()).map((plan) => plan.id).indexOf(id)).toBe(2)
    expect(await entriesAbout(id)).toMatchObject([
      {
        action: 'platform.createPlan',
        organization_id: null,
        actor_id: runner.id,
        before: null,
        after: { id, name: 'Team', requestsPerMinute: 5, spendPerMonth: '12.5' },
      },
    ])
  })

  it('organizations are put on it at once, and their keys are held to it', async () => {
    const id = newPlanId()
    const org = await house.organization({ plan: 'free' })
    const { secret } = await house.key(await house.project(org))
    expect(await house.deps.directory.lookup(secret)).toMatchObject({ plan: { id: 'free' } })
    await api.platform.createPlan({ id, name: 'Team', requests_per_minute: 5 })
    await api.platform.setPlan({ id: org, plan: id })
    await vi.waitFor(async () =>
      expect(await house.deps.directory.lookup(secret)).toMatchObject({ plan: { id, requestsPerMinute: 5 } }),
    )
  })

  it('refuses an id that a plan has, of the preset too', async () => {
    const id = newPlanId()
    await api.platform.createPlan({ id, name: 'One' })
    for (const taken of [id, 'free']) {
      expect(await messageOf(api.platform.createPlan({ id: taken, name: 'Two' }))).toContain('There is a plan')
    }
    expect((await api.platform.plans({})).data.find((plan) => plan.id === id)?.name).toBe('One')
  })

  it.each([
    ['id', 'Free'],
    ['id', 'a'.repeat(33)],
    ['name', ''],
    ['name', 'a\nb'],
    ['requests_per_minute', 0],
    ['requests_per_day', -1],
    ['requests_per_month', 1.5],
    ['tokens_per_minute', '7'],
    ['tokens_per_day', 2 ** 53],
    ['tokens_per_month', Infinity],
    ['spend_per_month', 5],
    ['spend_per_month', '0'],
    ['spend_per_month', '1e3'],
    ['price_monthly_cents', -1],
    ['price_yearly_cents', 0.5],
    ['allowed_models', []],
    ['allowed_models', ['no-such-model']],
    ['allowed_models', ['nobody/*']],
    ['order', 1.5],
    ['hidden', 'yes'],
  ])('refuses %s of %j', async (name, value) => {
    const input = { id: newPlanId(), name: 'Team', [name]: value }
    expect(await outcome(api.platform.createPlan(input as never))).toBe('invalid_request')
    expect(await entriesAbout(input.id)).toEqual([])
  })

  it('names the models as calls have them', async () => {
    const made = await api.platform.createPlan({ id: newPlanId(), name: 'Team', allowed_models: ['gpt-4o', 'gpt-4o'] })
    expect(made.allowed_models).toEqual(['gpt-4o'])
    const bad = api.platform.createPlan({ id: newPlanId(), name: 'Team', allowed_models: ['no-such-model'] })
    expect(await messageOf(bad)).toContain('Unknown model "no-such-model"')
  })
})

describe('platform.updatePlan', () => {
  it('changes what is said and nothing else, of the preset too, for every key on it', async () => {
    const org = await house.organization({ plan: 'pro' })
    const { secret } = await house.key(await house.project(org))
    expect(await house.deps.directory.lookup(secret)).toMatchObject({ plan: { tokensPerDay: 10_000_000 } })
    const changed = await api.platform.updatePlan({ id: 'pro', tokens_per_day: 5, requests_per_month: null })
    const pro = { requests_per_minute: 600, requests_per_month: null, tokens_per_day: 5, price_monthly_cents: 9_900 }
    expect(changed).toMatchObject({ id: 'pro', name: 'Pro', ...pro, changed: true })
    expect(changed.organizations).toBeGreaterThan(0)
    await vi.waitFor(async () =>
      expect(await house.deps.directory.lookup(secret)).toMatchObject({
        plan: { tokensPerDay: 5, requestsPerMonth: null },
      }),
    )
    expect(await entriesAbout('pro')).toMatchObject([
      {
        action: 'platform.updatePlan',
        before: { tokensPerDay: 10_000_000, requestsPerMonth: 1_000_000 },
        after: { tokensPerDay: 5, requestsPerMonth: null },
      },
    ])
    await api.platform.updatePlan({ id: 'pro', tokens_per_day: 5 })
    expect(await entriesAbout('pro')).toHaveLength(1)
  })

  it('of an id that no plan has is not found', async () => {
    expect(await outcome(api.platform.updatePlan({ id: 'nowhere', name: 'X' }))).toBe('not_found')
    expect(await outcome(api.platform.archivePlan({ id: 'nowhere' }))).toBe('not_found')
  })
})

describe('platform.archivePlan', { timeout: 60_000 }, () => {
  it('takes it off the list: nobody is put on it, who is on it stays, and it can be revived', async () => {
    const id = newPlanId()
    await api.platform.createPlan({ id, name: 'Old', requests_per_minute: 5 })
    const [inside, outside] = [await house.organization({ plan: id }), await house.organization({ plan: 'free' })]
    const { secret } = await house.key(await house.project(inside))
    expect(await api.platform.archivePlan({ id })).toMatchObject({ id, archived: true, organizations: 1 })
    expect(await house.deps.directory.lookup(secret)).toMatchObject({ plan: { id, requestsPerMinute: 5 } })
    expect(await messageOf(api.platform.setPlan({ id: outside, plan: id }))).toContain('There is no such plan')
    expect(await api.platform.updatePlan({ id, archived: false })).toMatchObject({ archived: false })
    expect(await api.platform.setPlan({ id: outside, plan: id })).toMatchObject({ plan: id })
    expect((await entriesAbout(id)).map(({ action }) => action)).toEqual([
      'platform.createPlan',
      'platform.archivePlan',
      'platform.updatePlan',
    ])
  })

  it('leaves one plan for new organizations', async () => {
    const own = await consoleApp()
    try {
      const alone = await as(own, await own.person({ operator: true }))
      for (const { id } of PLANS.slice(1)) await alone.platform.archivePlan({ id })
      expect(await messageOf(alone.platform.archivePlan({ id: 'free' }))).toContain('make another one first')
      expect(await messageOf(alone.platform.updatePlan({ id: 'free', archived: true }))).toContain(
        'One plan must be left',
      )
      expect((await alone.plans.list({})).data.map(({ id }) => id)).toEqual(['free'])
    } finally {
      await own.close()
    }
  })
})

describe('platform.setPays', () => {
  it('says how an organization pays, in its own view too', async () => {
    const org = await house.organization()
    const { api: owner } = await newMember(house, org, 'owner')
    expect(await owner.organizations.get({})).toMatchObject({ pays: 'none' })
    expect(await api.platform.setPays({ id: org, pays: 'credits' })).toMatchObject({ id: org, pays: 'credits' })
    expect(await owner.organizations.get({})).toMatchObject({ pays: 'credits' })
    expect(await outcome(api.platform.setPays({ id: 'org_none', pays: 'credits' }))).toBe('not_found')
    expect(await outcome(api.platform.setPays({ id: org, pays: 'later' as never }))).toBe('invalid_request')
    expect(await outcome(owner.platform.setPays({ id: org, pays: 'none' }))).toBe('insufficient_permissions')
  })
})
