import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import type { Kv } from '../../db/kv/kv.ts'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'
import { hasRedis, startRedis } from '../helpers/redis.ts'
import { startUpstashFront } from '../helpers/upstash-front.ts'
import { kvContract } from './kv.contract.ts'

const there = hasRedis()
const redis = there ? await startRedis() : null
const front = redis && (await startUpstashFront(redis.url))
afterAll(async () => {
  await front?.close()
  await redis?.kill()
})

/** The machine may be busy: time limits have their own test. */
const timeoutMs = 5_000
const stores = {
  Redis: () => redisKv(redis!.url, { timeoutMs }),
  'the Upstash REST API': () => upstashKv({ url: front!.url, token: front!.token, timeoutMs }),
}
const leased = (open: () => ReturnType<typeof redisKv>) => (): Kv =>
  leasedKv(open(), { id: randomBytes(16).toString('hex'), timeoutMs })

describe.skipIf(!there)('shared stores', () => {
  if (!there) return
  for (const [name, open] of Object.entries(stores)) {
    kvContract(name, open)
    kvContract(`leases of ${name}`, leased(open))
  }

  describe.each(Object.entries(stores))('%s', (_, open) => {
    it('lets exactly the limit pass over several connections, leased and direct', async () => {
      const kvs: Kv[] = [open(), open(), leased(open)(), leased(open)()]
      const options = { windowMs: 60_000, nowMs: 1_800_000_000_000 }
      const key = `mixed:${randomBytes(8).toString('hex')}`
      const all = await Promise.all(Array.from({ length: 400 }, async (__, at) => kvs[at % 4]!.take(key, 101, options)))
      expect(all.filter(({ allowed }) => allowed)).toHaveLength(101)
      await Promise.all(kvs.map((kv) => kv.close()))
    })

    it('says over other connections what is published on one', async () => {
      const [here, elsewhere] = [open(), open()]
      const heard: string[] = []
      await elsewhere.subscribe('revoked', (text) => heard.push(text))
      await here.publish('revoked', 'key_1')
      await expect.poll(() => heard).toEqual(['key_1'])
      await Promise.all([here.close(), elsewhere.close()])
    })

    it('tells a subscriber whose connection broke that it may have missed something, and goes on', async () => {
      const kv = open()
      const heard: string[] = []
      await kv.subscribe(
        'revoked-2',
        (text) => heard.push(text),
        () => heard.push('missed'),
      )
      front!.cutSubscriptions()
      const admin = redisKv(redis!.url)
      await admin.ping()
      await killSubscribers()
      await expect.poll(() => heard.includes('missed'), { timeout: 10_000 }).toBe(true)
      await kv.publish('revoked-2', 'key_2')
      await expect.poll(() => heard.at(-1)).toBe('key_2')
      await Promise.all([kv.close(), admin.close()])
    })
  })
})

async function killSubscribers(): Promise<void> {
  const { Redis } = await import('ioredis')
  const admin = new Redis(redis!.url)
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  admin.disconnect()
}
