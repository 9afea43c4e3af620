import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setImmediate as turn } from 'node:timers/promises'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'

/**
 * One instance of several: takes orders as lines of JSON on its input, answers each by a line, ends with its input.
 * `callers` ask at once, or within so many turns of the event loop.
 */
interface Order {
  readonly key: string
  readonly limit: number
  readonly callers: number
  readonly nowMs: number
  readonly turns: number
}

const [url, token] = process.argv.slice(2)
const store = token === undefined ? redisKv(url!) : upstashKv({ url: url!, token, timeoutMs: 2_000 })
const kv = leasedKv(store, { id: randomBytes(16).toString('hex'), timeoutMs: 2_000 })
await kv.ping()
process.stdout.write(`${JSON.stringify({ ready: true })}\n`)

for await (const line of createInterface({ input: process.stdin })) {
  const { key, limit, callers, nowMs, turns } = JSON.parse(line) as Order
  const before = kv.stats.roundTrips
  const taken = await Promise.all(
    Array.from({ length: callers }, async (_, at) => {
      for (let i = 0; i < (at * 7) % (turns + 1); i++) await turn()
      return kv.take(key, limit, { windowMs: 60_000, nowMs })
    }),
  )
  const passed = taken.filter(({ allowed }) => allowed).length
  process.stdout.write(`${JSON.stringify({ passed, roundTrips: kv.stats.roundTrips - before, away: kv.stats.away })}\n`)
}
await kv.close()
