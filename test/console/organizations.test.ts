import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ROLES } from '../../db/model/access.ts'
import { PLANS } from '../../db/model/plans.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { as, entriesOf, messageOf, newMember, outcome } from './callers.ts'

let house: ConsoleApp
beforeAll(async () => {
  house = await consoleApp()
}, 120_000)
afterAll(() => house?.close())

describe('organizations', () => {
  it('whoever is signed in makes one, owns it, and it starts on the free plan', async () => {
    const person = await house.person()
    const api = await as(house, person)
    expect((await api.organizations.list({})).data).toEqual([])
    const made = await api.organizations.create({ name: ' Workshop ' })
    expect(made).toMatchObject({ name: 'Workshop', plan: 'free', role: 'owner', is_default: false })
    const inside = await as(house, person, { organizationId: made.id })
    expect(await inside.organizations.get({})).toEqual(made)
    expect((await inside.organizations.list({})).data).toEqual([made])
    expect(await entriesOf(house, made.id)).toMatchObject([
      {
        action: 'organizations.create',
        actor_id: person.id,
        actor_name: person.email,
        target_id: made.id,
        before: null,
        after: { name: 'Workshop', plan: 'free', owner: person.id },
      },
    ])
  })

  it('where no plan is called free it starts on the smallest', async () => {
    const others = PLANS.filter((plan) => plan.id !== 'free')
    const plans = { ...house.control.plans, all: () => others }
    const api = await as(house, await house.person(), { control: { plans } })
    expect(await api.organizations.create({ name: 'Workshop' })).toMatchObject({ plan: 'starter' })
  })

  it('a name is one line of 1 to 100 characters', async () => {
    const api = await as(house, await house.person())
    for (const name of ['', '  ', 'a\u0000', 'a\nb', 'x'.repeat(101)]) {
      expect(await outcome(api.organizations.create({ name }))).toBe('invalid_request')
    }
    for (const name of ['x', 'é'.repeat(100), '漢字 👩‍🚀', "'; drop table users --"]) {
      expect((await api.organizations.create({ name })).name).toBe(name)
    }
  })

  it('renaming tells the audit log what it was called; the same name changes nothing', async () => {
    const org = await house.organization({ name: 'Before' })
    const { api } = await newMember(house, org, 'admin')
    expect(await api.organizations.update({ name: 'After' })).toMatchObject({ id: org, name: 'After', role: 'admin' })
    await api.organizations.update({ name: 'After' })
    expect(await entriesOf(house, org)).toMatchObject([
      { action: 'organizations.update', before: { name: 'Before' }, after: { name: 'After' } },
    ])
  })

  it('a token sees only the organization that it is for', async () => {
    const [one, two] = [await house.organization(), await house.organization()]
    const { person } = await newMember(house, one, 'owner')
    await house.join(two, person.id, 'owner')
    const caller = { kind: 'token', person, tokenId: 'tok_1', tokenName: 'T', organizationId: two } as const
    const api = await as(house, person, { organizationId: two, caller: { ...caller, scopes: ['organization:read'] } })
    expect((await api.organizations.list({})).data.map((row) => row.id)).toEqual([two])
    expect(await outcome(api.organizations.create({ name: 'Another' }))).toBe('insufficient_permissions')
  })

  it.each(ROLES)('%s deletes it only as owner, and with projects only by its name', async (role) => {
    const org = await house.organization({ name: 'Old Mill' })
    const { api, person } = await newMember(house, org, role)
    const project = await house.project(org)
    const { secret } = await house.key(project)
    expect(await house.deps.directory.lookup(secret)).toMatchObject({ organizationId: org })
    if (role !== 'owner') {
      expect(await outcome(api.organizations.delete({ confirm: 'Old Mill' }))).toBe('insufficient_permissions')
      return
    }
    expect(await messageOf(api.organizations.delete({}))).toContain('not archived')
    expect(await messageOf(api.organizations.delete({ confirm: 'old mill' }))).toContain('not the name')
    expect(await house.deps.directory.lookup(secret)).not.toBeNull()
    expect(await outcome(api.organizations.delete({ confirm: 'Old Mill' }))).toBe('ok')
    await vi.waitFor(async () => expect(await house.deps.directory.lookup(secret)).toBeNull())
    expect(await house.control.stores.members.membershipOf(person.id, org)).toBeNull()
    expect(await outcome(api.organizations.get({}))).toBe('not_found')
    expect(await outcome(api.organizations.update({ name: 'Ghost' }))).toBe('not_found')
    expect(await outcome(api.organizations.delete({}))).toBe('not_found')
    expect((await entriesOf(house, org)).map((entry) => entry.action)).toEqual(['organizations.delete'])
  })

  it('an organization that somebody is not in can be neither seen nor touched', async () => {
    const org = await house.organization()
    const stranger = await as(house, await house.person(), { organizationId: org })
    expect(await outcome(stranger.organizations.get({}))).toBe('insufficient_permissions')
    expect(await outcome(stranger.organizations.update({ name: 'Mine' }))).toBe('insufficient_permissions')
    expect(await outcome(stranger.organizations.delete({}))).toBe('insufficient_permissions')
    expect((await stranger.organizations.list({})).data).toEqual([])
    expect(await outcome((await as(house, null)).organizations.list({}))).toBe('invalid_api_key')
  })
})

describe('platform organizations', () => {
  it('who runs the installation sees all of them, page by page', async () => {
    const org = await house.organization({ name: 'Counted', plan: 'pro' })
    for (const role of ROLES) await newMember(house, org, role)
    const api = await as(house, await house.person({ operator: true }))
    const seen = []
    for (let cursor: string | undefined; ; ) {
      const page: Awaited<ReturnType<typeof api.platform.organizations>> = await api.platform.organizations({
        limit: 3,
        ...(cursor === undefined ? {} : { cursor }),
      })
      seen.push(...page.data)
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    const { db } = house.database.database
    expect(seen).toHaveLength((await db.selectFrom('organizations').select('id').execute()).length)
    const counted = { name: 'Counted', plan: 'pro', members: 4, requests_this_month: 0, is_default: false }
    expect(seen.find((row) => row.id === org)).toMatchObject(counted)
  })

  it('a new plan reaches the keys of the organization and is written down', async () => {
    const org = await house.organization({ plan: 'free' })
    const { secret } = await house.key(await house.project(org))
    expect(await house.deps.directory.lookup(secret)).toMatchObject({ plan: { id: 'free' } })
    const runner = await house.person({ operator: true })
    const api = await as(house, runner)
    expect(await api.platform.setPlan({ id: org, plan: 'agency' })).toMatchObject({ id: org, plan: 'agency' })
    await vi.waitFor(async () =>
      expect(await house.deps.directory.lookup(secret)).toMatchObject({ plan: { id: 'agency' } }),
    )
    const told = {
      action: 'platform.setPlan',
      actor_id: runner.id,
      before: { plan: 'free' },
      after: { plan: 'agency' },
    }
    expect(await entriesOf(house, org)).toMatchObject([told])
    expect((await api.platform.audit({ organization_id: org })).data).toMatchObject([
      { organization_id: org, action: 'platform.setPlan', target: { type: 'organization', id: org } },
    ])
    expect(await messageOf(api.platform.setPlan({ id: org, plan: 'none' }))).toContain('there are free, starter')
    expect(await outcome(api.platform.setPlan({ id: 'org_none', plan: 'pro' }))).toBe('not_found')
    expect(await entriesOf(house, org)).toHaveLength(1)
  })

  it('owners of organizations are not who runs the installation', async () => {
    const org = await house.organization()
    const { api } = await newMember(house, org, 'owner')
    expect(await outcome(api.platform.organizations({}))).toBe('insufficient_permissions')
    expect(await outcome(api.platform.setPlan({ id: org, plan: 'unlimited' }))).toBe('insufficient_permissions')
    expect(await outcome(api.platform.audit({}))).toBe('insufficient_permissions')
  })
})
