import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { PLANS, type Plan, planSchema } from '../../db/model/plans.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import { PLANS_CHANGED } from '../../db/stores/plans.ts'
import { addOrganization, addPerson, changeOf, entriesOf } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const LEAST = { name: 'Some', requestsPerMinute: 1, requestsPerMonth: 2, tokensPerDay: 3 }
const plan = (id: string, more: object = {}): Plan => planSchema.parse({ id, ...LEAST, ...more })
const [FREE] = PLANS as readonly [Plan]

describe.each(ENGINES)('plans on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  const entries = (auditId: string) =>
    on.database.db.selectFrom('audit_log').selectAll().where('id', '=', auditId).execute()
  const find = async (id: string) => (await on.stores.plans.list()).plans.find((one) => one.id === id) ?? null

  it('at first there are no rows: presets and files hold', async () => {
    const fresh = await engine.open()
    try {
      expect(await fresh.stores.plans.list()).toEqual({ plans: [], unreadable: [] })
    } finally {
      await fresh.dispose()
    }
  })

  it('create() keeps a plan as it is, once, tells every instance and writes it down', async () => {
    const all = plan('all', {
      ...{ requestsPerDay: 4, tokensPerMinute: 5, tokensPerMonth: 6, spendPerMonth: '7.5', allowedModels: ['gpt-4o'] },
      ...{ priceMonthlyCents: 8, priceYearlyCents: 9, order: -1, hidden: true, archived: true },
    })
    const heard = vi.fn()
    await on.database.listen(KEYS_CHANNEL, heard)
    const change = changeOf({ action: 'platform.createPlan' })
    expect(await on.stores.plans.create(change, all)).toBe(true)
    expect(await find('all')).toEqual(all)
    await vi.waitFor(() => expect(heard).toHaveBeenCalledWith(PLANS_CHANGED))
    const told = { organization_id: null, action: 'platform.createPlan', target_type: 'plan', target_id: 'all' }
    expect(await entries(change.auditId)).toMatchObject([{ ...told, before: null, after: { ...all } }])
    const again = changeOf()
    expect(await on.stores.plans.create(again, { ...all, name: 'Other' })).toBe(false)
    expect(await find('all')).toEqual(all)
    expect(await entries(again.auditId)).toEqual([])
  })

  it('of many that make a plan of one id at once, one does', async () => {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, n) => on.stores.plans.create(changeOf(), plan('raced', { order: n }))),
    )
    expect(made.filter((one) => one)).toHaveLength(1)
  })

  it('update() of a plan without a row begins with the base, and from then on the row holds', async () => {
    const change = changeOf({ action: 'platform.updatePlan' })
    const changed = await on.stores.plans.update(change, 'free', { base: FREE, edit: { tokensPerDay: 7 } })
    expect(changed).toEqual({ ...FREE, tokensPerDay: 7 })
    expect(await find('free')).toEqual(changed)
    expect(await entries(change.auditId)).toMatchObject([
      { target_id: 'free', before: { tokensPerDay: FREE.tokensPerDay }, after: { tokensPerDay: 7 } },
    ])
    // The file says something else by now.
    const base = { ...FREE, tokensPerDay: 1, requestsPerMonth: 1 }
    const next = await on.stores.plans.update(changeOf(), 'free', { base, edit: { name: 'Gratis' } })
    expect(next).toEqual({ ...FREE, tokensPerDay: 7, name: 'Gratis' })
  })

  it('update() to null takes a limit away, and never changes the id', async () => {
    await on.stores.plans.create(changeOf(), plan('kept', { spendPerMonth: '5', allowedModels: ['gpt-4o'] }))
    const edit = { id: 'other', spendPerMonth: null, allowedModels: null, requestsPerMinute: null }
    const none = { spendPerMonth: null, allowedModels: null, requestsPerMinute: null }
    expect(await on.stores.plans.update(changeOf(), 'kept', { base: null, edit })).toEqual({ ...plan('kept'), ...none })
    expect(await find('other')).toBeNull()
  })

  it('update() of what there is not is null; one that changes nothing leaves no trace', async () => {
    expect(await on.stores.plans.update(changeOf(), 'nowhere', { base: null, edit: { name: 'X' } })).toBeNull()
    const change = changeOf()
    const edit = { tokensPerDay: FREE.tokensPerDay, allowedModels: null }
    const base = plan('quiet', edit)
    expect(await on.stores.plans.update(change, 'quiet', { base, edit })).toEqual(base)
    expect(await find('quiet')).toBeNull()
    expect(await entries(change.auditId)).toEqual([])
  })

  it('of changes at once to a plan without a row none is lost', async () => {
    const base = plan('busy')
    const edits = [{ name: 'Busy' }, { requestsPerDay: 8 }, { tokensPerMonth: 9 }, { priceMonthlyCents: 10 }]
    await Promise.all(edits.map((edit) => on.stores.plans.update(changeOf(), 'busy', { base, edit })))
    expect(await find('busy')).toEqual(Object.assign({}, base, ...edits))
  })

  it('list() names rows that say nothing to this version, and takes those of a later one without what it adds', async () => {
    const at = { created_at: new Date(NOON_MS), updated_at: new Date(NOON_MS) }
    const later = { ...plan('later'), invented: true } as Plan
    const odd = { ...plan('odd'), tokensPerDay: 'many' } as unknown as Plan
    for (const content of [later, odd]) {
      await on.database.db
        .insertInto('plans')
        .values({ id: content.id, content, ...at })
        .execute()
    }
    await on.database.db
      .insertInto('plans')
      .values({ id: 'alias', content: plan('name'), ...at })
      .execute()
    const { plans, unreadable } = await on.stores.plans.list()
    expect(unreadable).toEqual(['alias', 'odd'])
    expect(plans.find(({ id }) => id === 'later')).toEqual(plan('later'))
    expect(await on.stores.plans.update(changeOf(), 'odd', { base: plan('odd'), edit: { name: 'Mended' } })).toEqual(
      plan('odd', { name: 'Mended' }),
    )
    expect((await on.stores.plans.list()).unreadable).toEqual(['alias'])
  })

  it('organizations() counts who is on each plan, on those that are gone too', async () => {
    const { db } = on.database
    const ids = [await addOrganization(db), await addOrganization(db), await addOrganization(db)]
    for (const id of ids) await on.stores.organizations.setPlan(changeOf(), id, 'counted')
    await on.stores.organizations.setPlan(changeOf(), ids[0]!, 'counted-too')
    const counts = await on.stores.plans.organizations()
    expect([counts.get('counted'), counts.get('counted-too'), counts.get('unlimited')]).toEqual([2, 1, undefined])
  })

  it('setPays() says how an organization pays, tells its keys and writes it down once', async () => {
    const { db } = on.database
    const id = await addOrganization(db)
    const { organizations } = on.stores
    const all = () => organizations.listAll({ limit: 1_000, after: null, sinceMs: 0 })
    expect((await all()).find((one) => one.id === id)).toMatchObject({ pays: 'none', plan: 'free' })
    const heard = vi.fn()
    await on.database.listen(KEYS_CHANNEL, heard)
    const change = changeOf({ action: 'platform.setPays' })
    expect(await organizations.setPays(change, id, 'credits')).toMatchObject({ id, pays: 'credits', plan: 'free' })
    await vi.waitFor(() => expect(heard).toHaveBeenCalledWith(id))
    expect(await organizations.setPays(changeOf(), id, 'credits')).toMatchObject({ pays: 'credits' })
    expect(await organizations.setPays(changeOf(), 'org_none', 'credits')).toBeNull()
    expect((await all()).find((one) => one.id === id)).toMatchObject({ pays: 'credits' })
    const told = { target_type: 'organization', target_id: id, before: { pays: 'none' }, after: { pays: 'credits' } }
    expect(await entriesOf(db, id)).toEqual([{ action: 'platform.setPays', ...told }])
  })

  it('a new organization pays as it is told to, and nothing by itself', async () => {
    const change = changeOf({ action: 'organizations.create' })
    const owner = { ownerId: (await addPerson(on.database.db)).id, plan: 'free', name: 'New' }
    const { organizations } = on.stores
    expect(await organizations.create(change, { id: 'org_unpaid', ...owner })).toMatchObject({ pays: 'none' })
    const paying = { id: 'org_paid', ...owner, pays: 'credits' } as const
    expect(await organizations.create(changeOf(), paying)).toMatchObject({ pays: 'credits' })
  })
})
