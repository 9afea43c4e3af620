import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { counterOf, creditsCounterOf } from '../../db/model/limits.ts'
import { periodOf } from '../../db/model/periods.ts'
import { PLANS } from '../../db/model/plans.ts'
import { addKey } from '../../db/stores/keys.ts'
import { entryFinder } from '../../server/main/entry.ts'
import { handClock } from '../helpers/clock.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { sampleCall } from './samples.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const HASH = createHash('sha256').update('secret').digest('hex')
const silent = { info() {}, warn() {}, error() {} }

describe.each(ENGINES)('a key as the line finds it, on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
    const { db } = on.database
    const at = { created_at: new Date(NOW_MS) }
    await db
      .insertInto('organizations')
      .values({ id: 'org_1', name: 'O', plan: 'free', pays: 'credits', ...at })
      .execute()
    await db
      .insertInto('projects')
      .values({ id: 'prj_1', organization_id: 'org_1', name: 'P', default_provider: null, archived_at: null, ...at })
      .execute()
    await addKey(db, {
      ...{ id: 'key_1', projectId: 'prj_1', name: 'K', kind: 'project', secretSha256: HASH, displayPrefix: 'lgw' },
      ...{ nowMs: NOW_MS, settings: { limits: { requestsPerMinute: 5, tokensPerDay: 1_000 } } },
    })
    const call = sampleCall({
      id: 'req_1',
      organizationId: 'org_1',
      projectId: 'prj_1',
      keyId: 'key_1',
      createdAtMs: NOW_MS,
    })
    await on.stores.prices.ensure([])
    await on.stores.calls.insertBatch(JSON.stringify([call]))
  })
  afterAll(() => on.dispose())

  const parts = (kv = memoryKv()) => ({
    kv,
    stores: on.stores,
    plans: { of: (id: string | null) => ({ ...PLANS.find((plan) => plan.id === id)!, allowedModels: ['gpt-4o'] }) },
    accountsOf: async () => undefined,
    clock: handClock(NOW_MS),
    log: silent,
  })

  it('has the limits of its settings and its plan, its credits, and the models of its plan', async () => {
    const entry = (await entryFinder(parts())(HASH))!
    expect(entry.limits!.map(({ of, what, period }) => `${of} ${what} ${period}`)).toEqual(
      expect.arrayContaining(['key requests minute', 'key tokens day', 'organization requests minute']),
    )
    expect(entry.credits).toEqual({ grantedNano: 0, spentNano: 0, multiplier: 10_000 })
    expect(entry.rules!.models).toEqual([new Set(['gpt-4o'])])
  })

  it('is found with counters that know what was used before this process began', async () => {
    const found = parts()
    const entry = (await entryFinder(found)(HASH))!
    const used = async (counter: string): Promise<number> => {
      const rule = entry.limits!.find((one) => one.counter === counter)!
      const { endMs } = periodOf(rule, NOW_MS)
      return (await found.kv.read([{ key: counter, limit: rule.limit, endMs }], NOW_MS))[0]!
    }
    const { input, cacheRead, output } = sampleCall().usage
    expect(await used(counterOf('tokens', 'day', 'key_1'))).toBeGreaterThanOrEqual(input + cacheRead + output)
    expect(await used(counterOf('requests', 'month', 'org_1'))).toBe(1)
    expect(await used(counterOf('requests', 'minute', 'key_1'))).toBe(0)
  })

  it('is found without them when they can not be looked up', async () => {
    const broken = parts()
    const usageSeeds = { ...on.stores.usageSeeds, seedsOf: () => Promise.reject(new Error('away')) }
    const entry = await entryFinder({ ...broken, stores: { ...on.stores, usageSeeds } })(HASH)
    expect(entry?.keyId).toBe('key_1')
    const counter = { key: creditsCounterOf('org_1'), limit: 0, endMs: Number.MAX_SAFE_INTEGER }
    expect(await broken.kv.read([counter], NOW_MS)).toEqual([0])
  })
})
