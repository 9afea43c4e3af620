import { randomBytes } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Kv } from '../../db/kv/kv.ts'
import { leasedKv } from '../../db/kv/leases.ts'
import { memoryKv } from '../../db/kv/memory.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'
import type { Database } from '../../db/open.ts'
import { hearKeyChanges } from '../../server/main/key-changes.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { startUpstashFront, type UpstashFront } from '../helpers/upstash-front.ts'

/** What hearKeyChanges uses of a database; `notify` is another instance's word, `send` one of this one. */
function fakeDatabase() {
  let hear: (id: string) => void = () => {}
  let sent: ((id: string) => void) | null = null
  const database: Pick<Database, 'listen' | 'onSent'> = {
    listen: async (_channel, onNotify) => {
      hear = onNotify
    },
    onSent: (_channel, onSent) => {
      sent = onSent
    },
  }
  return {
    database: database as Database,
    notify: (id: string) => hear(id),
    send: (id: string) => sent?.(id),
    get isWatched() {
      return sent !== null
    },
  }
}

const log = () => ({ info: vi.fn(), warn: vi.fn(), error: vi.fn() })

it('with counters of its own a process hears the database, and says nothing anywhere else', async () => {
  const fake = fakeDatabase()
  const changed = vi.fn()
  await hearKeyChanges({ database: fake.database, kv: memoryKv(), log: log() }, changed)
  fake.notify('key_1')
  expect(changed.mock.calls).toEqual([['key_1']])
  expect(fake.isWatched).toBe(false)
})

it('a kv that fails is told to the log, and the database is heard all the same', async () => {
  const { database, notify, send } = fakeDatabase()
  const away = () => Promise.reject(new Error('away'))
  const kv: Kv = { ...memoryKv(), isAlone: false, publish: away, subscribe: away }
  const [changed, told] = [vi.fn(), log()]
  await hearKeyChanges({ database, kv, log: told }, changed)
  send('key_1')
  notify('key_2')
  await vi.waitFor(() => expect(told.warn).toHaveBeenCalledTimes(2))
  expect(changed.mock.calls).toEqual([['key_2']])
})

const STORES = ['Redis', 'Upstash'] as const

describe.skipIf(!hasRedis())('with a kv that processes share', () => {
  let redis: TestRedis
  let front: UpstashFront
  beforeAll(async () => {
    redis = await startRedis()
    front = await startUpstashFront(redis.url)
    return async () => {
      await front.close()
      await redis.kill()
    }
  })
  const open: Kv[] = []
  afterEach(async () => {
    for (const kv of open.splice(0)) await kv.close()
  })

  function instanceOn(store: (typeof STORES)[number]) {
    const shared = store === 'Redis' ? redisKv(redis.url) : upstashKv({ url: front.url, token: front.token })
    const kv = leasedKv(shared, { id: randomBytes(16).toString('hex') })
    open.push(kv)
    return { ...fakeDatabase(), kv, changed: vi.fn(), log: log() }
  }

  async function listening(store: (typeof STORES)[number]) {
    const instance = instanceOn(store)
    await hearKeyChanges(instance, instance.changed)
    // As soon as the kv is listened to, whatever was said before is made up for.
    await vi.waitFor(() => expect(instance.changed.mock.calls).toEqual([['']]), 5_000)
    instance.changed.mockClear()
    return instance
  }

  it.each(STORES)(
    'over %s what one process has committed reaches the others though the database is deaf',
    async (store) => {
      const [one, other] = [await listening(store), await listening(store)]
      for (const id of ['key_1', 'prj_1', '']) {
        one.send(id)
        await vi.waitFor(() => expect(other.changed).toHaveBeenCalledWith(id))
      }
      expect(other.changed.mock.calls).toEqual([['key_1'], ['prj_1'], ['']])
      expect(one.log.warn).not.toHaveBeenCalled()
    },
  )

  it('what was said while Redis was away is made up for when it is back', async () => {
    const [one, other] = [await listening('Redis'), await listening('Redis')]
    await redis.kill()
    one.send('key_1')
    await vi.waitFor(() => expect(one.log.warn).toHaveBeenCalled())
    expect(other.changed).not.toHaveBeenCalled()
    await redis.start()
    await vi.waitFor(() => expect(other.changed.mock.calls).toEqual([['']]), 5_000)
  })

  it('a Redis that is away at the start holds nobody up, and is heard when it is there', async () => {
    await redis.kill()
    const one = instanceOn('Redis')
    await hearKeyChanges(one, one.changed)
    one.notify('key_1')
    expect(one.changed.mock.calls).toEqual([['key_1']])
    await redis.start()
    await vi.waitFor(() => expect(one.changed).toHaveBeenCalledWith(''), 5_000)
    const other = await listening('Redis')
    other.send('key_2')
    await vi.waitFor(() => expect(one.changed).toHaveBeenCalledWith('key_2'))
  })
})
