import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { startUpstashFront, type UpstashFront } from '../helpers/upstash-front.ts'

const PROCESSES = 4
const PLENTY = 1_000_000_000_000

interface Books {
  readonly ok: number
  readonly poor: number
  readonly spent: number
  readonly others: readonly number[]
  /** Pico-dollars. */
  readonly charged: number
  readonly tokens: number
  readonly roundTrips: number
}

interface Instance {
  ask(order: object): Promise<Books>
  stop(): Promise<void>
}

let redis: TestRedis
let front: UpstashFront

async function startInstance(args: readonly string[]): Promise<Instance> {
  const script = fileURLToPath(new URL('budgets-instance.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const next = async (): Promise<Books> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('The instance has ended')
    return JSON.parse(value) as Books
  }
  await next()
  return {
    ask(order) {
      child.stdin!.write(`${JSON.stringify(order)}\n`)
      return next()
    },
    async stop() {
      const ended = once(child, 'exit')
      child.stdin!.end()
      expect(await ended).toEqual([0, null])
    },
  }
}

/** Of one call: 4 characters a token of the prompt, which costs 1 000 nano-dollars, 2 000 of an answer. */
const CALL = { prompt: 2_000, most: 400, used: 20 }
const TOKENS = CALL.prompt / 4 + CALL.used
const NANO = (CALL.prompt / 4) * 1_000 + CALL.used * 2_000

describe.skipIf(!hasRedis())('4 processes on one store', () => {
  beforeAll(async () => {
    redis = await startRedis()
    front = await startUpstashFront(redis.url)
  })
  afterAll(async () => {
    await front?.close()
    await redis?.kill()
  })

  it.each([
    ['Redis', () => [redis.url]],
    ['the Upstash REST API', () => [front.url, front.token]],
  ] as const)('never overdraw, and refuse nobody who fits, on %s', { timeout: 400_000 }, async (name, args) => {
    const instances = await Promise.all(Array.from({ length: PROCESSES }, () => startInstance(args())))
    const all = async (order: object, share: readonly number[]): Promise<Books> => {
      const organization = `org_${name}_${JSON.stringify(order).length}_${Math.random()}`
      const books = await Promise.all(
        instances.map((instance, at) =>
          instance.ask({ ...CALL, ...order, organization, calls: share[at]!, seed: at + 1 }),
        ),
      )
      const sum = (of: (one: Books) => number): number => books.reduce((total, one) => total + of(one), 0)
      return {
        ...{ ok: sum(({ ok }) => ok), poor: sum(({ poor }) => poor), spent: sum(({ spent }) => spent) },
        ...{ others: books.flatMap(({ others }) => others), charged: sum(({ charged }) => charged) },
        ...{ tokens: sum(({ tokens }) => tokens), roundTrips: sum(({ roundTrips }) => roundTrips) },
      }
    }
    const calls = 200
    const shares = [
      [50, 50, 50, 50],
      [3, 7, 30, 160],
    ]
    for (const [at, share] of shares.entries()) {
      // A tenth more than all of them use; far less than all of them could use.
      const fits = { tokensADay: Math.ceil(calls * TOKENS * 1.1), grantedNano: Math.ceil(calls * NANO * 1.1) }
      const good = await all(fits, share)
      expect(good).toMatchObject({ ok: calls, others: [], tokens: calls * TOKENS, charged: calls * NANO * 1000 })
      console.log(`${name}: ${(good.roundTrips / calls).toFixed(3)} round trips a call near the cap`)

      if (at > 0) continue
      const few = await all({ tokensADay: PLENTY, grantedNano: 50 * NANO + 7 }, share)
      expect(few.others).toEqual([])
      expect(few.charged).toBeLessThanOrEqual((50 * NANO + 7) * 1000)
      expect(few.ok).toBeGreaterThanOrEqual(48)
      expect(few.ok + few.poor).toBe(calls)

      const short = await all({ tokensADay: 60 * TOKENS + 5, grantedNano: PLENTY }, share)
      expect(short.others).toEqual([])
      expect(short.tokens).toBeLessThanOrEqual(60 * TOKENS + 5)
      expect(short.ok).toBeGreaterThanOrEqual(58)
      expect(short.ok + short.spent).toBe(calls)
    }
    const far = await all({ tokensADay: PLENTY, grantedNano: PLENTY }, [250, 250, 250, 250])
    expect(far).toMatchObject({ ok: 1_000, charged: 1_000 * NANO * 1000 })
    console.log(`${name}: ${(far.roundTrips / 1_000).toFixed(3)} round trips a call far from it`)
    expect(far.roundTrips / 1_000).toBeLessThanOrEqual(0.2)
    await Promise.all(instances.map((instance) => instance.stop()))
  })
})
