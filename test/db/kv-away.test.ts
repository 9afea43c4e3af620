import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { SharedKv } from '../../db/kv/kv.ts'
import { type LeasedKv, leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { startUpstashFront, type UpstashFront } from '../helpers/upstash-front.ts'

const NOW_MS = 1_800_000_000_000
const WINDOW = { windowMs: 60_000, nowMs: NOW_MS }
const LIMIT = 60
const PATIENCE = { timeout: 10_000 }

interface Fault {
  readonly open: () => SharedKv
  readonly begin: () => unknown
  readonly end: () => unknown
  /** What /health is told. */
  readonly says: RegExp
}

let redis: TestRedis
let front: UpstashFront
let lines: { readonly level: string; readonly message: string; readonly error?: unknown }[] = []

const onRedis = (): SharedKv => redisKv(redis.url)
const onUpstash = (): SharedKv => upstashKv({ url: front.url, token: front.token })
const upstash = (how: Parameters<UpstashFront['fail']>[0], says: RegExp): Fault => ({
  ...{ open: onUpstash, says, begin: () => front.fail(how), end: () => front.fail(null) },
})
const failing = (text: string): Fault =>
  upstash({ status: 400, body: JSON.stringify({ error: text }) }, new RegExp(text))

const FAULTS: Readonly<Record<string, Fault>> = {
  'Redis is killed and comes back empty': {
    ...{
      open: onRedis,
      begin: () => redis.kill(),
      end: () => redis.start(),
      says: /can't be reached|closed/,
    },
  },
  'Redis hangs': {
    open: onRedis,
    begin: () => redis.hang(),
    end: () => redis.goOn(),
    says: /timed out|No answer within/,
  },
  'Redis became a replica': {
    ...{ open: onRedis, says: /READONLY|can't be reached/ },
    begin: () => order('REPLICAOF', '127.0.0.1', '1'),
    end: () => order('REPLICAOF', 'NO', 'ONE'),
  },
  'Redis is out of memory': {
    ...{ open: onRedis, says: /OOM/ },
    begin: () => order('CONFIG', 'SET', 'maxmemory', '1'),
    end: () => order('CONFIG', 'SET', 'maxmemory', '0'),
  },
  'Upstash hangs': upstash('hang', /abort|timeout|No answer/),
  'Upstash breaks connections': upstash('reset', /fetch failed/),
  'Upstash answers HTML': upstash({ status: 502, body: '<html>Bad gateway</html>' }, /Upstash/),
  'Upstash refuses the token': upstash({ status: 401, body: '{"error":"WRONGPASS invalid"}' }, /WRONGPASS/),
  'Upstash answers nonsense': upstash({ status: 200, body: '{"result":"aGk="}' }, /./),
  'Redis is loading': failing('LOADING Redis is loading the dataset in memory'),
}

async function order(...command: string[]): Promise<void> {
  const { Redis } = await import('ioredis')
  const admin = new Redis(redis.url)
  admin.on('error', () => {})
  await admin.call(command[0]!, ...command.slice(1))
  admin.disconnect()
}

function instance(open: () => SharedKv): LeasedKv {
  const log = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) =>
    void lines.push({ level, message, error: fields?.error })
  return leasedKv(open(), { id: randomBytes(16).toString('hex'), log: { info: log('info'), warn: log('warn') } })
}

async function pass(kv: LeasedKv, key: string, calls: number): Promise<number> {
  const all = await Promise.all(Array.from({ length: calls }, async () => kv.take(key, LIMIT, WINDOW)))
  return all.filter(({ allowed }) => allowed).length
}

describe.skipIf(!hasRedis())('a store that is away', () => {
  const used: LeasedKv[] = []
  let mend: () => unknown = () => {}
  beforeAll(async () => {
    redis = await startRedis()
    front = await startUpstashFront(redis.url)
  })
  beforeEach(() => {
    lines = []
  })
  afterEach(async () => {
    await mend()
    mend = () => {}
    await Promise.all(used.splice(0).map((kv) => kv.close()))
    await order('FLUSHALL')
  })
  afterAll(async () => {
    await front?.close()
    await redis?.kill()
  })

  it.each(Object.entries(FAULTS))(
    '%s: no call fails, limits get tighter, and all is well again by itself',
    {
      timeout: 30_000,
    },
    async (_, { open, begin, end, says }) => {
      const [one, other] = [instance(open), instance(open)]
      used.push(one, other)
      await Promise.all([one.ping(), other.ping()])
      // Each hears of the other.
      expect((await pass(one, 'known', 20)) + (await pass(other, 'known', 20)) + (await pass(one, 'seen', 1))).toBe(41)
      mend = end
      await begin()

      const began = performance.now()
      const fresh = [await pass(one, 'fresh', 100), await pass(other, 'fresh', 100)]
      const known = [await pass(one, 'known', 100), await pass(other, 'known', 100)]
      expect(one.stats.away && other.stats.away).toBe(true)
      // A time limit each, and then no waiting at all.
      expect(performance.now() - began).toBeLessThan(2_500)
      expect(fresh).toEqual([LIMIT / 2, LIMIT / 2])
      expect(known[0]! + known[1]!).toBeLessThanOrEqual(LIMIT - 40)
      await expect(one.ping()).rejects.toThrow(says === FAULTS['Upstash answers nonsense']!.says ? /.*/ : says)
      await expect.poll(() => lines.filter(({ level }) => level === 'warn')).toHaveLength(2)
      expect(String(lines[0]!.error)).toMatch(says)

      mend = () => {}
      await end()
      await expect.poll(() => one.stats.away || other.stats.away, PATIENCE).toBe(false)
      await Promise.all([one.settled(), other.settled()])
      expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn', 'info', 'info'])
      await expect(one.ping()).resolves.toBeUndefined()
      // What was used meanwhile, and what a store forgot, is told by those who used it.
      const counter = (key: string) => ({ key: `60000:${key}`, limit: LIMIT, endMs: NOW_MS + 60_000 })
      expect(await one.read([counter('fresh')], NOW_MS)).toEqual([LIMIT])
      expect((await pass(one, 'fresh', 10)) + (await pass(other, 'fresh', 10))).toBe(0)
      const rest = (await pass(one, 'known', 100)) + (await pass(other, 'known', 100))
      expect(40 + known[0]! + known[1]! + rest).toBe(LIMIT)
    },
  )

  it('a script that Redis doesn’t know any more is sent again, and nobody notices', async () => {
    for (const kv of [instance(onRedis), instance(onUpstash)]) {
      used.push(kv)
      expect(await pass(kv, 'scripts-a', 1)).toBe(1)
      await order('SCRIPT', 'FLUSH')
      expect(await pass(kv, 'scripts-b', 1)).toBe(1)
      expect(kv.stats.away).toBe(false)
    }
    expect(lines).toEqual([])
  })

  it('a store that was never there costs one time limit, and limits are divided among the assumed instances', async () => {
    const kv = leasedKv(redisKv('redis://127.0.0.1:1'), { id: 'lonely', assumedInstances: 4 })
    used.push(kv)
    expect(await pass(kv, 'never', 100)).toBe(LIMIT / 4)
    await expect(kv.ping()).rejects.toThrow(/can't be reached: connect ECONNREFUSED|No answer/)
  })

  it('a limit of one still lets one pass in each instance', async () => {
    const kv = leasedKv(redisKv('redis://127.0.0.1:1'), { id: 'lonely', assumedInstances: 4 })
    used.push(kv)
    const taken = await Promise.all([1, 2].map(async () => kv.take('one', 1, WINDOW)))
    expect(taken.map(({ allowed }) => allowed)).toEqual([true, false])
  })
})
