import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { LeaseAnswer, SharedKv, Taken } from '../../db/kv/kv.ts'
import { type LeasedKv, type LeaseOptions, leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'

const WINDOW = { windowMs: 60_000, nowMs: 1_800_000_000_000 }
const PATIENT = { timeoutMs: 5_000, idleMs: 600_000 }

let redis: TestRedis
let store: SharedKv
let keys = 0
const opened: LeasedKv[] = []

describe.skipIf(!hasRedis())('leasedKv()', () => {
  beforeAll(async () => {
    redis = await startRedis()
    store = redisKv(redis.url, { timeoutMs: 5_000 })
    await store.ping()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((kv) => kv.close()))
  })
  afterAll(async () => {
    await store?.close()
    await redis?.kill()
  })

  const freshKey = (): string => `words-${keys++}`
  const counterOf = (key: string, limit: number) => ({ key: `60000:${key}`, limit, endMs: 1_800_000_060_000 })

  /** @param lease what becomes of its words */
  async function instance(options: Partial<LeaseOptions> = {}, lease = store.lease): Promise<LeasedKv> {
    let listens = (): void => {}
    const listening = new Promise<void>((resolve) => {
      listens = resolve
    })
    const own: SharedKv = {
      ...store,
      lease,
      async subscribe(channel, hear, missed) {
        const end = await store.subscribe(channel, hear, missed)
        listens()
        return end
      },
      close: async () => {},
    }
    const kv = leasedKv(own, { id: `words-${process.pid}-${keys++}`, ...PATIENT, ...options })
    opened.push(kv)
    await listening
    return kv
  }

  const pass = async (kv: LeasedKv, key: string, { limit, calls }: { limit: number; calls: number }) => {
    const all: Taken[] = []
    for (let i = 0; i < calls; i++) all.push(await kv.take(key, limit, WINDOW))
    return all.filter(({ allowed }) => allowed).length
  }

  it('answers without a promise when it has a lease at hand, and when it knows that nothing is left', async () => {
    const kv = await instance()
    const key = freshKey()
    expect(kv.take(key, 1_000, WINDOW)).toBeInstanceOf(Promise)
    await kv.settled()
    expect(kv.take(key, 1_000, WINDOW)).toMatchObject({ allowed: true, remaining: 998 })
    const spent = freshKey()
    expect(await pass(kv, spent, { limit: 3, calls: 4 })).toBe(3)
    expect(kv.take(spent, 3, WINDOW)).toMatchObject({ allowed: false, remaining: 0 })
  })

  it('askers of one moment share one round trip, whatever they ask for', async () => {
    const kv = await instance()
    const [a, b] = [freshKey(), freshKey()]
    const before = kv.stats.roundTrips
    await Promise.all(Array.from({ length: 100 }, async (_, at) => kv.take(at % 2 ? a : b, 1_000, WINDOW)))
    expect(kv.stats.roundTrips - before).toBe(1)
  })

  it('blocks follow the demand: 10 000 calls one after another take a handful of round trips', async () => {
    const kv = await instance()
    const key = freshKey()
    expect(await pass(kv, key, { limit: 1_000_000, calls: 10_000 })).toBe(10_000)
    expect(kv.stats.roundTrips).toBeLessThan(40)
  })

  it('what one holds and doesn’t use is given back when another needs it, at once', async () => {
    const [one, other] = [await instance(), await instance()]
    const key = freshKey()
    expect(await pass(one, key, { limit: 100, calls: 21 })).toBe(21)
    expect(await pass(other, key, { limit: 100, calls: 100 })).toBe(79)
  })

  it('what isn’t used goes back by itself, and what is closed gives back all', async () => {
    const kv = await instance({ idleMs: 20 })
    const last = await instance()
    const key = freshKey()
    await pass(kv, key, { limit: 100, calls: 3 })
    const whole = async () => (await store.takeAll([{ ...counterOf(key, 100), amount: 97 }], WINDOW.nowMs)).allowed
    await expect.poll(whole, { timeout: 5_000 }).toBe(true)
    const other = freshKey()
    await pass(last, other, { limit: 100, calls: 3 })
    await last.close()
    expect(await store.takeAll([{ ...counterOf(other, 100), amount: 97 }], WINDOW.nowMs)).toMatchObject({
      allowed: true,
    })
  })

  it('what was reserved for an instance that crashed is free when its term has ended, what it had open is not', async () => {
    let isUp = true
    const kv = await instance({ termMs: 100 }, (holder, lines) =>
      isUp ? store.lease(holder, lines) : new Promise<LeaseAnswer>(() => {}),
    )
    const key = freshKey()
    const first = await kv.take(key, 100, WINDOW)
    isUp = false
    // One for the call and four ahead, half of them reserved.
    expect(first).toMatchObject({ allowed: true, remaining: 99 })
    const rest = (amount: number) => store.takeAll([{ ...counterOf(key, 100), amount }], WINDOW.nowMs)
    expect(await rest(97)).toMatchObject({ allowed: false })
    await expect.poll(async () => (await rest(97)).allowed, { timeout: 5_000 }).toBe(true)
    expect(await rest(1)).toMatchObject({ allowed: false })
    opened.splice(opened.indexOf(kv), 1)
  })

  it('an answer that gets lost loses nothing: the next word puts it right', async () => {
    let isLost = true
    const kv = await instance({}, async (holder, lines) => {
      const answer = await store.lease(holder, lines)
      if (!isLost) return answer
      isLost = false
      throw new Error('Lost')
    })
    const key = freshKey()
    expect(await pass(kv, key, { limit: 100, calls: 1 })).toBe(1)
    await expect.poll(() => kv.stats.away, { timeout: 5_000 }).toBe(false)
    await kv.settled()
    expect(await kv.read([counterOf(key, 100)], WINDOW.nowMs)).toEqual([1])
    await kv.close()
    expect(await store.takeAll([{ ...counterOf(key, 100), amount: 99 }], WINDOW.nowMs)).toMatchObject({ allowed: true })
  })

  it('who waits isn’t refused because others took meanwhile what was at hand', async () => {
    const kv = await instance()
    const [held, fresh] = [freshKey(), freshKey()]
    expect(await pass(kv, held, { limit: 1_000, calls: 1 })).toBe(1)
    await kv.settled()
    const wishes = [held, fresh].map((key) => ({ ...counterOf(key, 1_000), amount: 1 }))
    const waiting = kv.takeAll(wishes, WINDOW.nowMs)
    expect(waiting).toBeInstanceOf(Promise)
    // The word about the fresh one is on its way when the other is used up.
    await Promise.resolve()
    let taken = 0
    while (!(kv.take(held, 1_000, WINDOW) instanceof Promise)) taken++
    expect(taken).toBeGreaterThan(0)
    expect(await waiting).toMatchObject({ allowed: true })
  })

  it('a word that comes late changes nothing', async () => {
    const key = freshKey()
    const holder = { id: 'late', termMs: 5_000, leaving: false }
    const line = { ...counterOf(key, 100), ttlMs: 60_000, epoch: 1, spent: 0, least: 1, more: 0 }
    await store.lease(holder, [{ ...line, seq: 5, had: 0, want: 10 }])
    const late = await store.lease(holder, [{ ...line, seq: 4, had: 0, want: 10 }])
    expect(late.grants).toMatchObject([{ given: 0, free: 90 }])
  })
})
