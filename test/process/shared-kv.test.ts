import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redisKv } from '../../db/kv/redis.ts'
import { ENGINES, type TestDatabase } from '../db/engines.ts'
import { PROJECT_KEY } from '../helpers/app.ts'
import { ask, chat } from '../helpers/client.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { cleanUp, startServer, type TestServer } from '../helpers/server.ts'
import { startUpstashFront, type UpstashFront } from '../helpers/upstash-front.ts'

/** Of the smallest plan. */
const LIMIT = 10
/** Processes share a PostgreSQL only. */
const engine = ENGINES.find(({ name }) => name === 'postgres')
const PREFIX = 'watchllm:c:'

describe.skipIf(!hasRedis())('a gateway with a kv that processes share', { timeout: 60_000 }, () => {
  let redis: TestRedis
  let front: UpstashFront
  let viaRedis: Env
  let viaUpstash: Env
  beforeAll(async () => {
    redis = await startRedis()
    front = await startUpstashFront(redis.url)
    const plan = { WATCHLLM_BOOTSTRAP_PLAN: 'free' }
    viaRedis = { ...plan, REDIS_URL: redis.url }
    viaUpstash = { ...plan, UPSTASH_REDIS_REST_URL: front.url, UPSTASH_REDIS_REST_TOKEN: front.token }
  })
  afterEach(cleanUp)
  afterAll(async () => {
    await front?.close()
    await redis?.kill()
  })

  /** Redis without what the test before has left. */
  async function anew(): Promise<void> {
    await redis.kill()
    await redis.start()
  }

  async function statusesOf(server: TestServer, count: number): Promise<number[]> {
    const hello = chat('Hi', { model: 'sandbox/chat' })
    const all = Array.from({ length: count }, () =>
      ask(`${server.url}/v1/chat/completions`, hello, { key: PROJECT_KEY }),
    )
    return (await Promise.all(all)).map(({ status }) => status)
  }

  /** What the counters of requests a minute stand at, in Redis. */
  async function usedOfMinutes(): Promise<number> {
    const client = new Redis(redis.url, { protocol: 2 })
    const store = redisKv(redis.url)
    try {
      const names = (await client.keys(`${PREFIX}*`)).map((name) => name.slice(PREFIX.length))
      const counters = names
        .filter((name) => /requests:minute:org_/.test(name))
        .map((name) => ({ key: name.slice(name.indexOf(':') + 1), limit: LIMIT, endMs: Number.parseInt(name, 10) }))
      const used = counters.length === 0 ? [] : await store.read(counters, Date.now())
      return used.reduce((sum, one) => sum + one, 0)
    } finally {
      client.disconnect()
      await store.close()
    }
  }

  /** Does it within one minute of the clock: if that was over in between, once more, in the next. */
  async function withinAMinute<T>(what: () => Promise<T>): Promise<T> {
    for (;;) {
      const minute = Math.floor(Date.now() / 60_000)
      const done = await what()
      if (Math.floor(Date.now() / 60_000) === minute) return done
      await anew()
    }
  }

  const health = async ({ url }: TestServer) => {
    const response = await fetch(`${url}/health`)
    const { status, dependencies } = (await response.json()) as { status: string; dependencies: { kv: string } }
    return [response.status, status, dependencies.kv]
  }

  it.each(['Redis', 'Upstash'] as const)(
    'over %s processes let as much through as the plan says, together',
    async (by) => {
      await anew()
      const kv = by === 'Redis' ? viaRedis : viaUpstash
      // Only a PostgreSQL lets two of them have the same organization.
      const on = await engine?.open()
      const shared =
        on === undefined ? {} : { DATABASE_URL: urlOf(on), WATCHLLM_SECRET: '0123456789abcdef0123456789abcdef' }
      const env = { ...kv, ...shared }
      const servers = [await startServer({ env }), ...(on === undefined ? [] : [await startServer({ env })])]
      try {
        for (const server of servers) expect(await health(server)).toEqual([200, 'ok', 'ok'])
        const passed = await withinAMinute(async () => {
          const statuses = await Promise.all(servers.map((server) => statusesOf(server, 2 * LIMIT)))
          return statuses.flat().filter((status) => status === 200).length
        })
        expect(passed).toBe(LIMIT)
      } finally {
        await cleanUp()
        await on?.dispose()
      }
    },
  )

  it('a stop gives back what was leased and not used, before the connection closes', async () => {
    await anew()
    // So wide a limit that blocks are leased ahead of the calls.
    const server = await startServer({ env: { ...viaRedis, WATCHLLM_BOOTSTRAP_PLAN: 'agency' } })
    for (let burst = 0; burst < 4; burst++) {
      expect((await statusesOf(server, 50)).filter((status) => status !== 200)).toEqual([])
    }
    expect(await server.stop()).toEqual({ code: 0, signal: null })
    expect(await usedOfMinutes()).toBe(200)
  })

  it('without Redis it starts, says so once, serves with tighter limits, is degraded, and mends by itself', async () => {
    await redis.kill()
    const server = await startServer({ env: viaRedis })
    expect(server.stdout + server.stderr).toMatch(/shared counters can not be reached/)
    expect(await health(server)).toEqual([200, 'degraded', 'down'])
    const statuses = await statusesOf(server, LIMIT)
    expect(statuses).toContain(200)
    expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([])
    await redis.start()
    await expect.poll(() => health(server), { timeout: 10_000 }).toEqual([200, 'ok', 'ok'])
    expect(await server.stop()).toEqual({ code: 0, signal: null })
  })
})

type Env = Readonly<Record<string, string>>

function urlOf({ options }: TestDatabase): string {
  return (options as { readonly url: string }).url
}
