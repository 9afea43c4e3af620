import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { scopeOf } from '../../db/model/access.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import { creditsCounterOf } from '../../db/model/limits.ts'
import { openRecount } from '../../server/limits/recount.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import { openEmbedded, type TestDatabase } from '../db/engines.ts'
import { ledgerKit, topUp } from '../db/ledger-kit.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'

/** Nano-dollars: 10 tokens of a prompt at 1 000 and those of an answer at 2 000. */
const nanoOf = (output: number): number => 10_000 + output * 2_000
const GRANTED = 1_000 * nanoOf(20)
const SILENT_MS = 1_500
const ROUNDS = 150

let redis: TestRedis
let on: TestDatabase

interface Instance {
  ask(order: object): Promise<readonly number[]>
  kill(): Promise<void>
  stop(): Promise<void>
}

describe.skipIf(!hasRedis())('what a killed instance held of credits', () => {
  beforeAll(async () => {
    redis = await startRedis()
    on = await openEmbedded()
  }, 60_000)
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL')
    await on?.dispose()
    await redis?.kill()
  })

  const kit = ledgerKit(() => on)
  let posting: Promise<unknown> = Promise.resolve()
  let records: CallRecord[] = []
  const children = new Set<ChildProcess>()

  /** All that came while the batch before was stored. */
  async function post(): Promise<void> {
    const batch = records
    records = []
    await on.stores.calls.insertBatch(JSON.stringify(batch))
  }

  /** An instance whose records go to the ledger here, one after the other. */
  async function startInstance(organizationId: string): Promise<Instance> {
    const script = fileURLToPath(new URL('recount-instance.ts', import.meta.url))
    const args = ['--import', 'tsx', script, redis.url, organizationId, String(GRANTED)]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    children.add(child)
    const ended = once(child, 'exit')
    const heard: ((statuses: readonly number[]) => void)[] = []
    const next = (): Promise<readonly number[]> => new Promise((resolve) => void heard.push(resolve))
    const write = (order: object): void => void child.stdin!.write(`${JSON.stringify(order)}\n`)
    child.stdin!.on('error', () => {})
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const word = JSON.parse(line) as { record?: CallRecord; drain?: true; statuses?: readonly number[] }
      if (word.record !== undefined) {
        records.push({ ...word.record, priceId: null })
        if (records.length === 1) posting = posting.then(post)
      } else if (word.drain) void posting.then(() => write({ do: 'drained' }))
      else heard.shift()!(word.statuses!)
    })
    await next()
    return {
      ask(order) {
        const answered = next()
        write({ calls: 0, most: 20, used: 20, ...order })
        return answered
      },
      async kill() {
        child.kill('SIGKILL')
        await ended
        await posting
      },
      async stop() {
        child.stdin!.end()
        expect(await ended).toEqual([0, null])
      },
    }
  }

  function counting() {
    const kv = leasedKv(redisKv(redis.url), { id: `recount-${Math.random()}`, beatMs: 200 })
    const recount = openRecount({
      ...{ kv, payers: on.stores.ledger.payers, creditsOf: on.stores.ledger.creditsOf, clock: systemClock },
      ...{ journal: { drained: async () => {} }, random: systemRandom(), silentMs: SILENT_MS },
      log: { info() {}, warn() {}, error() {} },
    })
    const used = async (organizationId: string): Promise<number> => {
      const counter = { key: creditsCounterOf(organizationId), limit: GRANTED, endMs: Number.MAX_SAFE_INTEGER }
      return (await kv.read([counter], Date.now()))[0]!
    }
    const close = async () => {
      recount.close()
      await kv.close()
    }
    return { recount, used, close }
  }

  async function organization(): Promise<string> {
    const id = await kit.organization()
    await on.stores.ledger.post(topUp(id, BigInt(GRANTED) * 1_000n))
    return id
  }

  const spentNano = async (organizationId: string): Promise<number> =>
    Number((await on.stores.ledger.balance(scopeOf(organizationId))).spentPico / 1_000n)
  const silence = () => new Promise((resolve) => setTimeout(resolve, SILENT_MS + 5_500))

  it('comes back when it is counted again, and not a nano-dollar of what others hold', {
    timeout: 120_000,
  }, async () => {
    const id = await organization()
    const [killed, alive] = await Promise.all([startInstance(id), startInstance(id)])
    const { recount, used, close } = counting()
    await Promise.all([killed.ask({ do: 'calls', calls: 200 }), alive.ask({ do: 'calls', calls: 100 })])
    // Calls under way, each of which holds a hundred times what the others cost.
    await killed.ask({ do: 'hold', calls: 5, most: 2_000 })
    await alive.ask({ do: 'hold', calls: 3, most: 2_000 })
    const holds = 3 * nanoOf(2_000)
    await killed.kill()

    expect(await recount.recount(id)).toBe(0)
    await silence()
    const before = await used(id)
    const back = await recount.recount(id)
    expect(back).toBeGreaterThanOrEqual(5 * nanoOf(2_000))
    const [after, spent] = [await used(id), await spentNano(id)]
    expect(spent).toBe(300 * nanoOf(20))
    expect(after).toBe(before - back)
    expect(after).toBeGreaterThanOrEqual(spent + holds)
    console.log(`${back} nano-dollars came back; ${after - spent - holds} more than is spent and held are not free`)
    expect(await recount.recount(id)).toBe(0)

    // Now all of it can be spent, and no more: what is left pays for no call.
    expect(await alive.ask({ do: 'release' })).toEqual([200, 200, 200])
    let statuses: readonly number[] = []
    do statuses = await alive.ask({ do: 'calls', calls: 50 })
    while (statuses.includes(200))
    expect(new Set(statuses)).toEqual(new Set([402]))
    await posting
    const left = GRANTED - (await spentNano(id))
    expect(left).toBeGreaterThanOrEqual(0)
    // A prompt is held with what a tokenizer might make of it, an answer with 16 tokens at least.
    expect(left).toBeLessThan(nanoOf(40))
    console.log(`${left} of ${GRANTED} nano-dollars are left`)
    await alive.stop()
    await close()
  })

  it('counted again and again while others spend, never is more than it', { timeout: 120_000 }, async () => {
    const id = await organization()
    const instances = await Promise.all(Array.from({ length: 3 }, () => startInstance(id)))
    const { recount, used, close } = counting()
    await instances[0]!.ask({ do: 'hold', calls: 20, most: 300 })
    await instances[0]!.kill()
    await silence()
    // Nobody else has taken anything yet.
    const lost = await used(id)
    let isOver = false
    let times = 0
    let back = 0
    const counted = (async () => {
      for (; !isOver; times++) back += await recount.recount(id)
    })()
    const spending = instances.slice(1).map(async (instance, at) => {
      for (let round = 0; round < ROUNDS; round++) {
        const most = 20 + (round % 10) * 20
        const statuses = await instance.ask({ do: 'calls', calls: 4 + at * 3, most, used: 1 })
        expect(new Set(statuses)).toEqual(new Set([200]))
      }
    })
    await Promise.all(spending)
    isOver = true
    await counted
    await posting
    const spent = ROUNDS * (4 + 7) * nanoOf(1)
    expect(await spentNano(id)).toBe(spent)
    await expect.poll(() => used(id), { timeout: 10_000 }).toBeLessThanOrEqual(spent + lost - back)
    expect(back).toBeLessThanOrEqual(lost)
    expect(await used(id)).toBe(spent + lost - back)
    expect((await recount.recount(id)) + back).toBeGreaterThan(lost - 100)
    console.log(`${times} counts while others spent: ${back} of ${lost} nano-dollars came back`)
    await Promise.all(instances.slice(1).map((instance) => instance.stop()))
    await close()
  })
})
