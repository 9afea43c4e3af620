import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Kv } from '../../db/kv/kv.ts'
import { leasedKv } from '../../db/kv/leases.ts'
import { memoryKv } from '../../db/kv/memory.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { hasRedis, startRedis } from '../helpers/redis.ts'
import { allowed, fail, type Instance, instance, MINUTE_MS, mayTry } from './kit.ts'

const redis = hasRedis() ? await startRedis() : null
afterAll(() => redis?.kill())

/** The machine may be busy: time limits have their own test. */
const timeoutMs = 5_000
const SOON = { timeout: 10_000 }

/** What several instances share, each by a connection of its own. */
interface Store {
  readonly name: string
  /** @param prefix of this test only */
  open(prefix: string): () => Kv
}

const inMemory: Store = {
  name: 'one memory',
  open() {
    const kv = memoryKv()
    return () => kv
  },
}
const inRedis: Store = { name: 'Redis', open: (prefix) => () => redisKv(redis!.url, { timeoutMs, prefix }) }
const leased: Store = {
  name: 'leases of Redis',
  open: (prefix) => () =>
    leasedKv(redisKv(redis!.url, { timeoutMs, prefix }), { id: randomBytes(16).toString('hex'), timeoutMs }),
}

describe.each(redis === null ? [inMemory] : [inMemory, inRedis, leased])('instances on $name', ({ open }) => {
  let clock: HandClock
  let connect: () => Kv
  let kvs: Kv[] = []
  let all: Instance[] = []
  beforeEach(async () => {
    clock = handClock()
    connect = open(`breaker-${randomBytes(6).toString('hex')}:`)
    for (let i = 0; i < 3; i++) await join()
  })
  afterEach(async () => {
    for (const one of all) one.close()
    await Promise.all(kvs.map((kv) => kv.close()))
    kvs = []
    all = []
    // Questions that were on their way have ended.
    await expect.poll(() => clock.timers, SOON).toBe(0)
  })

  /** One more, when it hears the others. */
  async function join(): Promise<Instance> {
    const kv = connect()
    kvs.push(kv)
    await kv.subscribe('other', () => {})
    const one = instance({ kv, clock })
    all.push(one)
    await kv.subscribe('another', () => {})
    return one
  }

  const openOn = (account = 'env', provider = 'openai') => all.map((one) => one.isOpen(provider, account))
  const everywhere = (isOpen: boolean) => all.map(() => isOpen)

  it('what one opens is open on all, and they know why', async () => {
    all[0]!.failed('openai', 'crd_1', 'network')
    fail(all[0]!, 2, 'crd_1')
    await expect.poll(() => openOn('crd_1'), SOON).toEqual(everywhere(true))
    for (const one of all) {
      expect(await one.accountHealth('openai', 'crd_1')).toEqual({
        ...{ status: 'unhealthy', consecutiveFailures: 3, lastFailureMs: clock.now(), fault: 'provider' },
        restsUntilMs: clock.now() + 10 * MINUTE_MS,
      })
    }
    expect(openOn('env')).toEqual(everywhere(false))
    expect(all.flatMap(({ raised }) => raised)).toHaveLength(1)
  })

  it('of 200 that ask at once over three exactly one may probe, time after time', async () => {
    fail(all[0]!)
    await expect.poll(openOn, SOON).toEqual(everywhere(true))
    for (let round = 0; round < 3; round++) {
      clock.advance(10 * MINUTE_MS - 1)
      expect(await allowed(all, 200)).toBe(0)
      clock.advance(1)
      const answers = await Promise.all(
        all.flatMap((one) => Array.from({ length: 67 }, async () => ((await mayTry(one)) ? one : null))),
      )
      const [prober, ...others] = answers.filter((one) => one !== null)
      expect([prober === undefined, others]).toEqual([false, []])
      // Nobody else gets it while it is out, though they ask again.
      clock.advance(10_000)
      expect(await allowed(all, 200)).toBe(0)
      prober!.failed('openai', 'env', 'network')
      await expect.poll(openOn, SOON).toEqual(everywhere(true))
    }
  })

  it('the probe’s success closes it on all', async () => {
    fail(all[1]!)
    await expect.poll(openOn, SOON).toEqual(everywhere(true))
    clock.advance(10 * MINUTE_MS)
    expect(await mayTry(all[2]!)).toBe(true)
    all[2]!.succeeded('openai', 'env')
    await expect.poll(() => allowed(all, 30), SOON).toBe(30)
    for (const one of all) expect(await one.health('openai', ['env'])).toMatchObject({ consecutiveFailures: 0 })
  })

  it('a probe that one gives back another may take', async () => {
    fail(all[0]!)
    await expect.poll(openOn, SOON).toEqual(everywhere(true))
    clock.advance(10 * MINUTE_MS)
    expect(await mayTry(all[0]!)).toBe(true)
    expect(await allowed(all.slice(1), 20)).toBe(0)
    all[0]!.released('openai', 'env')
    const next = async () => {
      clock.advance(1_000)
      return allowed(all.slice(1), 20)
    }
    await expect.poll(next, SOON).toBe(1)
    expect(await allowed(all, 20)).toBe(0)
  })

  it('a probe that comes late on one is alone for a minute on all', async () => {
    fail(all[0]!)
    await expect.poll(openOn, SOON).toEqual(everywhere(true))
    clock.advance(11 * MINUTE_MS - 1)
    expect(await mayTry(all[0]!)).toBe(true)
    clock.advance(MINUTE_MS)
    expect(await allowed(all, 30)).toBe(0)
    // By then those who were refused ask once more.
    clock.advance(MINUTE_MS)
    expect(await allowed(all, 30)).toBe(1)
  })

  it('a rest is a rest for all, those who come meanwhile as well', async () => {
    all[0]!.failed('openai', 'env', 'overload', { restMs: 8_000 })
    await join()
    await expect.poll(openOn, SOON).toEqual(everywhere(true))
    clock.advance(8_000)
    expect(await allowed(all, 30)).toBe(30)
  })

  it.each([
    { of: [], left: [false, false, false] },
    { of: ['openai'], left: [false, false, true] },
    { of: ['openai', 'env'], left: [false, true, true] },
  ])('a reset of $of holds on all, and for those to come', async ({ of, left }) => {
    const state = async (one: Instance) => {
      const may = [await mayTry(one), await mayTry(one, 'crd_1'), await mayTry(one, 'env', 'mistral')]
      return may.map((it) => !it)
    }
    fail(all[0]!)
    all[1]!.failed('openai', 'crd_1', 'account')
    all[2]!.failed('mistral', 'env', 'account')
    const states = () => Promise.all(all.map(state))
    await expect.poll(states, SOON).toEqual(all.map(() => [true, true, true]))
    clock.advance(1_000)
    all[0]!.reset(...of)
    await expect.poll(states, SOON).toEqual(all.map(() => left))
    expect(await state(await join())).toEqual(left)
  })

  it('one that starts later asks what is open before its first call, and is not told twice', async () => {
    fail(all[0]!)
    await expect.poll(openOn, SOON).toEqual(everywhere(true))
    // What was said yesterday counts today.
    clock.advance(12 * 60 * MINUTE_MS - 5 * MINUTE_MS)
    all[0]!.failed('mistral', 'env', 'account')
    await expect.poll(() => openOn('env', 'mistral'), SOON).toEqual(everywhere(true))
    clock.advance(6 * MINUTE_MS)
    const late = await join()
    expect([await mayTry(late, 'env', 'mistral'), await mayTry(late, 'crd_1')]).toEqual([false, true])
    expect(late.raised).toEqual([])
    clock.advance(4 * MINUTE_MS)
    expect(await allowed([late, ...all], 200)).toBe(1)
  })
})
