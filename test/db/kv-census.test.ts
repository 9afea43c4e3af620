import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import type { SharedKv } from '../../db/kv/kv.ts'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'
import { hasRedis, startRedis } from '../helpers/redis.ts'
import { startUpstashFront } from '../helpers/upstash-front.ts'

const there = hasRedis()
const redis = there ? await startRedis() : null
const front = redis && (await startUpstashFront(redis.url))
afterAll(async () => {
  await front?.close()
  await redis?.kill()
})

const timeoutMs = 5_000
const stores = {
  Redis: () => redisKv(redis!.url, { timeoutMs }),
  'the Upstash REST API': () => upstashKv({ url: front!.url, token: front!.token, timeoutMs }),
}
const NOW_MS = 1_800_000_000_000
const LONG_MS = 3_600_000

describe.skipIf(!there).each(Object.entries(stores))('a census of a counter on %s', (_, open) => {
  const counter = () => ({
    key: `credits:${randomBytes(6).toString('hex')}`,
    limit: 1_000,
    endMs: Number.MAX_SAFE_INTEGER,
  })
  /** A process that has taken 60, used 25 of them, and says no more. */
  async function mute(store: SharedKv, of: ReturnType<typeof counter>, termMs = 1) {
    const id = randomBytes(8).toString('hex')
    const ask = { ...of, ttlMs: LONG_MS, seq: 1, epoch: 1, had: 0, spent: 0, want: 60, least: 1, more: 0 }
    const holder = { id, termMs, leaving: false }
    await store.lease(holder, [ask])
    await store.lease(holder, [{ ...ask, seq: 2, had: 60, spent: 25, want: 0, least: 0 }])
    return `i:${id}`
  }

  it('tells what is used, what of it is kept for those who were heard of, and who they are', async () => {
    const store = open()
    const of = counter()
    const holder = await mute(store, of)
    const other = leasedKv(open(), { id: randomBytes(8).toString('hex'), timeoutMs })
    expect(await other.takeAll([{ ...of, amount: 10 }], NOW_MS)).toMatchObject({ allowed: true })
    await other.settled()
    const census = await store.census(of, { silentMs: LONG_MS })
    expect(census.holders).toEqual(expect.arrayContaining([holder, other.holder]))
    const own = other.atHand!(of)!
    expect(own).toBeGreaterThan(0)
    expect(census.used).toBe(60 + 10 + own + census.kept)
    expect(await other.census!(of, { silentMs: LONG_MS })).toEqual(census)
    await other.close()
    await store.close()
  })

  it('gives back what the dead held, once, and counts it again should one of them speak', async () => {
    const store = open()
    const of = counter()
    const holder = await mute(store, of)
    await expect.poll(async () => (await store.census(of, { silentMs: 0 })).holders).toEqual([])
    const { used, holders, mark } = await store.census(of, { silentMs: 0 })
    expect([used, holders]).toEqual([60, []])
    expect(await store.reclaim(of, 35, { silentMs: 0, mark, nowMs: NOW_MS })).toBe(true)
    expect(await store.reclaim(of, 35, { silentMs: 0, mark, nowMs: NOW_MS })).toBe(false)
    expect(await store.read([of], NOW_MS)).toEqual([25])

    const word = { ...of, ttlMs: LONG_MS, seq: 3, epoch: 1, had: 60, spent: 30, want: 0, least: 0, more: 0 }
    await store.lease({ id: holder.slice(2), termMs: 5_000, leaving: false }, [word])
    expect((await store.census(of, { silentMs: LONG_MS })).used).toBe(85)
    await store.close()
  })

  it('does nothing when anybody has taken, given back or used anything since', async () => {
    const store = open()
    const of = counter()
    await mute(store, of)
    await expect.poll(async () => (await store.census(of, { silentMs: 0 })).holders).toEqual([])
    const { mark } = await store.census(of, { silentMs: 0 })
    await store.add(of, 1, NOW_MS)
    expect(await store.reclaim(of, 35, { silentMs: 0, mark, nowMs: NOW_MS })).toBe(false)
    expect((await store.census(of, { silentMs: 0 })).used).toBe(61)
    await store.close()
  })

  it('knows a counter of which nobody has ever taken', async () => {
    const store = open()
    expect(await store.census(counter(), { silentMs: LONG_MS })).toMatchObject({ used: 0, kept: 0 })
    await store.close()
  })
})
