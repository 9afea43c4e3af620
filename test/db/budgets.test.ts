import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { limitOfBudget, MAX_BUDGETS } from '../../db/model/budgets.ts'
import type { NewBudget } from '../../db/stores/budgets.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import { addOrganization, changeIn, entriesOf, newId } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sha256 } from './samples.ts'

describe.each(ENGINES)('budgets on $name', (engine) => {
  let on: TestDatabase
  let organizationId: string
  let strangerId: string
  const heard: string[] = []
  beforeAll(async () => {
    on = await engine.open()
    organizationId = await addOrganization(on.database.db)
    strangerId = await addOrganization(on.database.db)
    await on.database.listen(KEYS_CHANNEL, (id) => void heard.push(id))
  }, 120_000)
  afterAll(() => on?.dispose())

  async function project(): Promise<{ readonly projectId: string; readonly keyId: string; readonly otherId: string }> {
    const { db } = on.database
    const projectId = newId('prj')
    const created_at = new Date(NOON_MS)
    const row = { id: projectId, organization_id: organizationId, name: 'P', default_provider: null, archived_at: null }
    await db
      .insertInto('projects')
      .values({ ...row, created_at })
      .execute()
    const key = async (): Promise<string> => {
      const id = newId('key')
      const none = { expires_at: null, revoked_at: null, last_used_at: null, created_by: null }
      const named = { name: 'K', kind: 'project', secret_sha256: sha256(id), display_prefix: 'lgw_' } as const
      const owner = { project_id: projectId, organization_id: organizationId }
      await db
        .insertInto('api_keys')
        .values({ id, ...owner, ...named, ...none, created_at })
        .execute()
      return id
    }
    return { projectId, keyId: await key(), otherId: await key() }
  }

  const budget = (changes: Partial<NewBudget> & Pick<NewBudget, 'projectId'>): NewBudget => ({
    id: newId('bud'),
    keyId: null,
    what: 'spend',
    period: 'month',
    anchorMs: null,
    limit: 5_000_000_000,
    hard: true,
    ...changes,
  })
  const page = { keyId: null, after: null, limit: 100 }

  it('a budget is read back as it was made, by its list, by its place and by the line', async () => {
    const { projectId, keyId, otherId } = await project()
    const { budgets } = on.stores
    const change = changeIn(organizationId)
    const ofProject = budget({ projectId, limit: Number.MAX_SAFE_INTEGER, hard: false })
    const ofKey = budget({ projectId, keyId, what: 'tokens', period: 'week', anchorMs: NOON_MS - 1, limit: 7 })
    const ofOther = budget({ projectId, keyId: otherId, what: 'requests', period: 'total', limit: 1 })
    const made = []
    for (const one of [ofProject, ofKey, ofOther]) made.push(await budgets.create(changeIn(organizationId), one))
    const facts = { generation: 0, createdBy: change.actor.id, createdAtMs: NOON_MS, updatedAtMs: NOON_MS }
    expect(made).toEqual([ofProject, ofKey, ofOther].map((one) => ({ ...one, ...facts })))
    const inOrder = [...made].sort((a, b) => ((a as NewBudget).id < (b as NewBudget).id ? -1 : 1))
    expect(await budgets.list(change, projectId, page)).toEqual(inOrder)
    expect(await budgets.list(change, projectId, { ...page, keyId })).toEqual([made[1]])
    expect(
      await budgets.list(change, projectId, {
        ...page,
        after: inOrder[0] === null ? '' : (inOrder[0] as NewBudget).id,
        limit: 1,
      }),
    ).toEqual([inOrder[1]])
    expect(await budgets.find(change, { projectId, budgetId: ofKey.id })).toEqual(made[1])
    const limits = await budgets.limitsOf(projectId, keyId)
    expect(limits.map(({ by }) => by).sort()).toEqual([ofProject.id, ofKey.id].sort())
    expect(limits.find(({ by }) => by === ofKey.id)).toEqual({
      of: 'key',
      by: ofKey.id,
      what: 'tokens',
      period: 'week',
      anchorMs: NOON_MS - 1,
      limit: 7,
      hard: true,
      counter: `bud:${ofKey.id}:0`,
    })
    expect((await budgets.limitsOf(projectId, '')).map(({ by }) => by)).toEqual([ofProject.id])
  })

  it('every change is in the audit log, and told to the keys that it is about', async () => {
    const { projectId, keyId } = await project()
    const { budgets } = on.stores
    const ofKey = budget({ projectId, keyId })
    const ofProject = budget({ projectId })
    for (const one of [ofKey, ofProject]) {
      const place = { projectId, budgetId: one.id }
      await budgets.create(changeIn(organizationId, { action: 'budgets.create' }), one)
      await budgets.update(changeIn(organizationId, { action: 'budgets.update' }), place, { limit: 9, hard: false })
      await budgets.renew(changeIn(organizationId, { action: 'budgets.recompute' }), place)
      expect(await budgets.delete(changeIn(organizationId, { action: 'budgets.delete' }), place)).toBe(true)
    }
    await expect
      .poll(() => heard.filter((id) => id === keyId || id === projectId), { timeout: 10_000 })
      .toEqual([...Array(4).fill(keyId), ...Array(4).fill(projectId)])
    const entries = (await entriesOf(on.database.db, organizationId)).filter((entry) => entry.target_id === ofKey.id)
    const of = (action: string) => entries.find((entry) => entry.action === `budgets.${action}`)
    expect(entries).toHaveLength(4)
    expect(of('create')).toMatchObject({ target_type: 'budget', before: null, after: { keyId, limit: 5_000_000_000 } })
    expect(of('update')).toMatchObject({
      before: { limit: 5_000_000_000, hard: true },
      after: { limit: 9, hard: false },
    })
    expect(of('recompute')).toMatchObject({ before: { generation: 0 }, after: { generation: 1 } })
    expect(of('delete')).toMatchObject({ before: { limit: 9 }, after: null })
  })

  it('counts anew when its period or its anchor changes, and when it is told to, and else never', async () => {
    const { projectId } = await project()
    const { budgets } = on.stores
    const made = budget({ projectId, period: 'day' })
    await budgets.create(changeIn(organizationId), made)
    const counter = async (changes: Parameters<typeof budgets.update>[2] | null) => {
      const place = { projectId, budgetId: made.id }
      const change = changeIn(organizationId, { atMs: NOON_MS + 5 })
      const now = changes === null ? await budgets.renew(change, place) : await budgets.update(change, place, changes)
      expect(now!.updatedAtMs).toBe(NOON_MS + 5)
      expect(await budgets.find(change, place)).toEqual(now)
      return limitOfBudget(now!).counter.slice(`bud:${made.id}:`.length)
    }
    expect(await counter({ limit: 5, hard: false })).toBe('0')
    expect(await counter({ period: 'day' })).toBe('0')
    expect(await counter({ period: 'week' })).toBe('1')
    expect(await counter({ anchorMs: NOON_MS })).toBe('2')
    expect(await counter({ anchorMs: NOON_MS })).toBe('2')
    expect(await counter({ anchorMs: null, period: 'month' })).toBe('3')
    expect(await counter(null)).toBe('4')
    expect(await counter({})).toBe('4')
  })

  it('a project and a key have so many at most, however many are made at once', async () => {
    const { projectId, keyId, otherId } = await project()
    const { budgets } = on.stores
    for (const owner of [null, keyId]) {
      const all = await Promise.all(
        Array.from({ length: MAX_BUDGETS + 4 }, () =>
          budgets.create(changeIn(organizationId), budget({ projectId, keyId: owner })),
        ),
      )
      expect(all.filter((one) => one === 'full')).toHaveLength(4)
    }
    expect(await budgets.create(changeIn(organizationId), budget({ projectId, keyId: otherId }))).toMatchObject({
      keyId: otherId,
    })
  })

  it('what is another organization’s, or another project’s, is as if it weren’t there', async () => {
    const { projectId, keyId } = await project()
    const other = await project()
    const { budgets } = on.stores
    const made = budget({ projectId, keyId })
    await budgets.create(changeIn(organizationId), made)
    const foreign = changeIn(strangerId)
    expect(await budgets.list(foreign, projectId, page)).toBeNull()
    expect(await budgets.create(foreign, budget({ projectId }))).toBeNull()
    expect(await budgets.create(changeIn(organizationId), budget({ projectId, keyId: other.keyId }))).toBeNull()
    expect(await budgets.create(changeIn(organizationId), budget({ projectId: 'prj_none' }))).toBeNull()
    for (const [change, place] of [
      [foreign, { projectId, budgetId: made.id }],
      [changeIn(organizationId), { projectId: other.projectId, budgetId: made.id }],
      [changeIn(organizationId), { projectId, budgetId: 'bud_none' }],
    ] as const) {
      expect(await budgets.find(scopeOf(change.organizationId), place)).toBeNull()
      expect(await budgets.update(change, place, { limit: 1 })).toBeNull()
      expect(await budgets.renew(change, place)).toBeNull()
      expect(await budgets.delete(change, place)).toBe(false)
    }
    expect(await budgets.find(scopeOf(organizationId), { projectId, budgetId: made.id })).toMatchObject(made)
    expect((await entriesOf(on.database.db, strangerId)).length).toBe(0)
  })

  it('goes with its project', async () => {
    const { projectId, keyId } = await project()
    const { budgets, projects } = on.stores
    await budgets.create(changeIn(organizationId), budget({ projectId, keyId }))
    await budgets.create(changeIn(organizationId), budget({ projectId }))
    await projects.delete(changeIn(organizationId), projectId)
    expect(await budgets.limitsOf(projectId, keyId)).toEqual([])
  })
})
