import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const OURS = { projectId: 'prj_1', provider: 'openai' }
const THEIRS = { ...OURS, projectId: 'prj_2' }
const ELSEWHERE = { ...OURS, provider: 'together' }

describe.each(ENGINES)("projects' objects at providers on $name", (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  it("owned() tells a project's own at one provider and no other's", async () => {
    const { providerObjects } = on.stores
    await providerObjects.add(OURS, ['a', 'b'], NOON_MS)
    await providerObjects.add(THEIRS, ['c'], NOON_MS)
    await providerObjects.add(ELSEWHERE, ['d'], NOON_MS)
    const all = ['a', 'b', 'c', 'd', "x'; drop table calls; --"]
    expect([...(await providerObjects.owned(OURS, all))].sort()).toEqual(['a', 'b'])
    expect([...(await providerObjects.owned(THEIRS, all))]).toEqual(['c'])
    expect([...(await providerObjects.owned(ELSEWHERE, all))]).toEqual(['d'])
    expect((await providerObjects.owned(OURS, [])).size).toBe(0)
  })

  it('add() may be told the same again, by several at once, and takes none', async () => {
    const { providerObjects } = on.stores
    await providerObjects.add(OURS, [], NOON_MS)
    await Promise.all([1, 2, 3].map(() => providerObjects.add(OURS, ['e', 'f', 'e'], NOON_MS)))
    expect((await providerObjects.owned(OURS, ['e', 'f'])).size).toBe(2)
  })

  it('remove() takes one away, from its owner only', async () => {
    const { providerObjects } = on.stores
    await providerObjects.add(OURS, ['g'], NOON_MS)
    await providerObjects.add(THEIRS, ['g'], NOON_MS)
    await providerObjects.remove(OURS, 'g')
    expect((await providerObjects.owned(OURS, ['g'])).size).toBe(0)
    expect((await providerObjects.owned(THEIRS, ['g'])).size).toBe(1)
  })

  it('takes lists as long as a page of a provider', async () => {
    const { providerObjects } = on.stores
    const ids = Array.from({ length: 2500 }, (_, at) => `file-${at}`)
    await providerObjects.add(OURS, ids, NOON_MS)
    expect((await providerObjects.owned(OURS, [...ids, ...ids.map((id) => `${id}x`)])).size).toBe(2500)
  })
})
