import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { startUpstashFront, type UpstashFront } from '../helpers/upstash-front.ts'

const PROCESSES = 4
const CALLERS = 1_000
const LIMIT = 60
const RUNS = 20

interface Instance {
  ask(order: object): Promise<Result>
  stop(): Promise<void>
}

interface Result {
  readonly passed: number
  readonly roundTrips: number
  readonly away: boolean
}

/** Callers of an instance: now all alike, now one with few and one with most. */
function share(run: number, at: number): number {
  return [
    [250, 250, 250, 250],
    [10, 40, 150, 800],
    [3, 3, 4, 990],
  ][run % 3]![(at + run) % PROCESSES]!
}

let redis: TestRedis
let front: UpstashFront

async function startInstance(args: readonly string[]): Promise<Instance> {
  const script = fileURLToPath(new URL('limits-instance.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const next = async (): Promise<Result> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('The instance has ended')
    return JSON.parse(value) as Result
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
  ] as const)(
    'let exactly 60 of 1 000 callers at once pass, 20 times in a row, on %s',
    { timeout: 120_000 },
    async (name, args) => {
      const instances = await Promise.all(Array.from({ length: PROCESSES }, () => startInstance(args())))
      const passed: number[] = []
      let roundTrips = 0
      for (let run = 0; run < RUNS; run++) {
        const results = await Promise.all(
          instances.map((instance, at) =>
            instance.ask({
              ...{ key: `${name}-${run}`, limit: LIMIT, callers: share(run, at) },
              // Clocks that differ by a second; all within one window. Now at one moment, now in a stream.
              ...{ nowMs: 90_000 + at * 250, turns: [0, 5, 50, 500][run % 4] },
            }),
          ),
        )
        expect(results.some(({ away }) => away)).toBe(false)
        passed.push(results.reduce((sum, one) => sum + one.passed, 0))
        roundTrips += results.reduce((sum, one) => sum + one.roundTrips, 0)
      }
      expect(passed).toEqual(Array.from({ length: RUNS }, () => LIMIT))
      const perCall = roundTrips / (RUNS * CALLERS)
      console.log(`${name}: ${perCall.toFixed(4)} round trips a call`)
      expect(perCall).toBeLessThanOrEqual(0.2)
      await Promise.all(instances.map((instance) => instance.stop()))
    },
  )
})
