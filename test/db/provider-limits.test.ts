import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import { PROVIDER_LIMITS } from '../../db/stores/provider-limits.ts'
import { changeOf } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

describe.each(ENGINES)('provider limits on $name', (engine) => {
  let on: TestDatabase
  const heard: string[] = []
  beforeAll(async () => {
    on = await engine.open()
    await on.database.listen(KEYS_CHANNEL, (id) => void heard.push(id))
  }, 120_000)
  afterAll(() => on?.dispose())

  const free = { stopNano: null, stopFreeUntilMs: null, pausedAtMs: null, pausedReason: null }
  const of = async (provider: string) =>
    (await on.stores.providerLimits.list()).find((limit) => limit.provider === provider)
  const entries = (provider: string) =>
    on.database.db
      .selectFrom('audit_log')
      .select(['action', 'organization_id', 'before', 'after'])
      .where('target_type', '=', 'provider_limit')
      .where('target_id', '=', provider)
      .orderBy('id')
      .execute()

  it('a stop that many instances find reached at once pauses its provider once', async () => {
    const { providerLimits } = on.stores
    await providerLimits.setStop(changeOf(), 'once', 7)
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual([PROVIDER_LIMITS])
    const reached = { provider: 'once', stopNano: 7, reason: 'Too much' }
    const done = await Promise.all(Array.from({ length: 12 }, () => providerLimits.pauseReached(changeOf(), reached)))
    expect(done.filter((isMine) => isMine)).toHaveLength(1)
    expect(await of('once')).toEqual({
      ...{ ...free, provider: 'once', stopNano: 7 },
      ...{ pausedAtMs: NOON_MS, pausedReason: 'Too much' },
    })
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual([PROVIDER_LIMITS, PROVIDER_LIMITS])
    expect(await entries('once')).toHaveLength(2)
  })

  it('nothing pauses by a stop that has been changed, or that was lifted for the day', async () => {
    const { providerLimits } = on.stores
    const reach = (stopNano: number, atMs: number) =>
      providerLimits.pauseReached(changeOf({ atMs }), { provider: 'lifted', stopNano, reason: 'Too much' })
    expect(await reach(5, NOON_MS)).toBe(false)
    await providerLimits.setStop(changeOf(), 'lifted', 9)
    expect(await reach(5, NOON_MS)).toBe(false)
    expect(await reach(9, NOON_MS)).toBe(true)
    expect(await providerLimits.resume(changeOf(), 'lifted', NOON_MS + 100)).toEqual({
      ...{ ...free, provider: 'lifted', stopNano: 9, stopFreeUntilMs: NOON_MS + 100 },
    })
    expect(await reach(9, NOON_MS + 99)).toBe(false)
    expect(await reach(9, NOON_MS + 100)).toBe(true)
    // To set a stop is to mean it, on this day too.
    await providerLimits.resume(changeOf(), 'lifted', NOON_MS + 500)
    await providerLimits.setStop(changeOf(), 'lifted', 9)
    expect(await reach(9, NOON_MS + 101)).toBe(true)
  })

  it('a provider that is paused stays so, for its first reason, whatever its stop becomes', async () => {
    const { providerLimits } = on.stores
    expect(await providerLimits.pause(changeOf(), 'held', 'Its terms have changed')).toMatchObject({ stopNano: null })
    await providerLimits.pause(changeOf({ atMs: NOON_MS + 1 }), 'held', 'Another reason')
    await providerLimits.setStop(changeOf({ atMs: NOON_MS + 2 }), 'held', 1_000)
    expect(await of('held')).toMatchObject({
      pausedAtMs: NOON_MS,
      pausedReason: 'Its terms have changed',
      stopNano: 1_000,
    })
  })

  it('every change is in the audit log of the platform, and what changes nothing isn’t', async () => {
    const { providerLimits } = on.stores
    await providerLimits.resume(changeOf({ action: 'platform.resumeProvider' }), 'told', NOON_MS)
    expect(await entries('told')).toEqual([])
    await providerLimits.setStop(changeOf({ action: 'platform.setProviderStop' }), 'told', 3)
    await providerLimits.pause(changeOf({ action: 'platform.pauseProvider' }), 'told', 'By hand')
    await providerLimits.resume(changeOf({ action: 'platform.resumeProvider' }), 'told', NOON_MS)
    const told = await entries('told')
    expect(told.every((entry) => entry.organization_id === null)).toBe(true)
    expect(new Set(told.map(({ action }) => action))).toEqual(
      new Set(['platform.setProviderStop', 'platform.pauseProvider', 'platform.resumeProvider']),
    )
    expect(told.find(({ action }) => action === 'platform.pauseProvider')).toMatchObject({
      before: { stop_nano: 3, paused_at: null },
      after: { paused_reason: 'By hand' },
    })
  })
})
