import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LeaseAnswer, SharedKv, Wish } from '../../db/kv/kv.ts'
import { type LeasedKv, leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { Random } from '../helpers/random.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'

const NOW_MS = 1_800_000_000_000
const END_MS = NOW_MS + 60_000
const TERM_MS = 150

/** An instance that can be made to crash: from then on no word of it arrives, nor any answer to it. */
interface Instance {
  readonly id: string
  readonly kv: LeasedKv
  readonly isCrashed: boolean
  /** Resolves when it crashes. */
  readonly crashed: Promise<null>
  /** It takes part: neither crashed nor shut down. */
  readonly isUp: boolean
  crash(): void
  close(): Promise<void>
}

/** What really happened, told apart from what anybody believes. */
interface Books {
  readonly limits: ReadonlyMap<string, number>
  /** Taken by calls that passed, less what they gave back. */
  readonly taken: Map<string, number>
  /** Counted after the fact. */
  readonly added: Map<string, number>
  /** Of `taken` and `added`, by instance and key. */
  readonly spentBy: Map<string, number>
}

let redis: TestRedis
let store: SharedKv
let raw: Redis
let count = 0

describe.skipIf(!hasRedis())('leases over one store', () => {
  beforeAll(async () => {
    redis = await startRedis()
    store = redisKv(redis.url, { timeoutMs: 5_000 })
    raw = new Redis(redis.url)
    await store.ping()
  })
  afterAll(async () => {
    raw?.disconnect()
    await store?.close()
    await redis?.kill()
  })

  function instance(): Instance {
    const id = `instance-${process.pid}-${count++}`
    let isDown = false
    let isClosed = false
    let die: (none: null) => void = () => {}
    const crashed = new Promise<null>((resolve) => {
      die = resolve
    })
    const ends: (() => void)[] = []
    const own: SharedKv = {
      ...store,
      // A crash falls on words that are on their way: done or not, their answers reach nobody.
      lease: (holder, lines) =>
        isDown
          ? new Promise<LeaseAnswer>(() => {})
          : store.lease(holder, lines).then((answer) => (isDown ? new Promise(() => {}) : answer)),
      async subscribe(channel, hear) {
        const end = await store.subscribe(channel, (text) => {
          if (!isDown) hear(text)
        })
        ends.push(end)
        return end
      },
      close: async () => {},
    }
    const kv = leasedKv(own, { id, idleMs: 40, termMs: TERM_MS, recallMs: 60, timeoutMs: 5_000 })
    return {
      ...{ id, kv, crashed },
      get isCrashed() {
        return isDown
      },
      get isUp() {
        return !isDown && !isClosed
      },
      crash() {
        isDown = true
        die(null)
        for (const end of ends) end()
      },
      close() {
        isClosed = true
        return kv.close()
      },
    }
  }

  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'any mix of instances, calls, crashes and shutdowns passes no limit and loses nothing but what crashed ones had open (seed %i)',
    {
      timeout: 30_000,
    },
    async (seed) => {
      const random = new Random(seed)
      const run = `mix-${process.pid}-${seed}`
      const limits = new Map(
        ['a', 'b', 'c', 'd'].map((name) => [`${run}:${name}`, random.pick([1, 7, 60, 500, 5_000])]),
      )
      const books: Books = { limits, taken: new Map(), added: new Map(), spentBy: new Map() }
      const keys = [...limits.keys()]
      let living = Array.from({ length: 1 + random.int(4) }, instance)
      const crashed: Instance[] = []
      const calls: Promise<void>[] = []

      for (let step = 0; step < 250; step++) {
        const at = random.int(living.length)
        const one = living[at]!
        const dice = random.int(60)
        if (dice === 0) {
          one.crash()
          crashed.push(one)
          living[at] = instance()
        } else if (dice === 1) {
          living[at] = instance()
          calls.push(one.close())
        } else if (dice < 6) {
          add(books, one, wishOf(random.pick(keys), books, random.int(30)))
        } else {
          const wishes = random.shuffle(keys).slice(0, 1 + random.int(3))
          calls.push(call(books, one, { random, wishes: wishes.map((key) => wishOf(key, books, random.int(9))) }))
        }
        if (random.once(3)) await turn()
      }
      await Promise.all(calls)
      await Promise.all(living.map((one) => one.close()))
      living = []

      for (const key of keys) {
        const limit = limits.get(key)!
        const counted = (books.taken.get(key) ?? 0) + (books.added.get(key) ?? 0)
        const open = await openOf(key, crashed, books)
        // What was reserved for crashed instances is free when their terms have ended.
        const counter = { key, limit, endMs: END_MS }
        await expect.poll(() => store.read([counter], NOW_MS), { timeout: 5_000 }).toEqual([counted + open])
        const left = limit - counted - open
        if (left <= 0) continue
        await expect
          .poll(async () => (await store.takeAll([{ ...counter, amount: left }], NOW_MS)).allowed, { timeout: 5_000 })
          .toBe(true)
        expect((await store.takeAll([{ ...counter, amount: 1 }], NOW_MS)).allowed).toBe(false)
      }
    },
  )

  const wishOf = (key: string, { limits }: Books, amount: number): Wish => ({
    ...{ key, amount, endMs: END_MS, limit: limits.get(key)! },
  })

  /** A call: takes, and if it passed, sometimes gives a part back. After every answer the limits must hold. */
  async function call(
    books: Books,
    one: Instance,
    { random, wishes }: { readonly random: Random; readonly wishes: readonly Wish[] },
  ): Promise<void> {
    const isRefunded = random.once(5)
    const verdict = await Promise.race([one.kv.takeAll(wishes, NOW_MS), one.crashed])
    // A crashed instance tells nobody.
    if (verdict === null || one.isCrashed) return
    expect(verdict.allowed).toBe(verdict.refused === -1)
    if (!verdict.allowed) return
    for (const wish of wishes) book(books, one, { wish, amount: wish.amount, into: books.taken })
    for (const { key, limit } of wishes) expect(books.taken.get(key)).toBeLessThanOrEqual(limit)
    if (!isRefunded || !one.isUp) return
    const wish = wishes[0]!
    book(books, one, { wish, amount: -wish.amount, into: books.taken })
    one.kv.add(wish, -wish.amount, NOW_MS)
  }

  function add(books: Books, one: Instance, wish: Wish): void {
    book(books, one, { wish, amount: wish.amount, into: books.added })
    one.kv.add(wish, wish.amount, NOW_MS)
  }

  function book(
    { spentBy }: Books,
    { id }: Instance,
    { wish, amount, into }: { readonly wish: Wish; readonly amount: number; readonly into: Map<string, number> },
  ): void {
    into.set(wish.key, (into.get(wish.key) ?? 0) + amount)
    spentBy.set(`${id} ${wish.key}`, (spentBy.get(`${id} ${wish.key}`) ?? 0) + amount)
  }

  /** What the store had opened to crashed instances beyond what they used; negative: what they couldn't tell any more. */
  async function openOf(key: string, crashed: readonly Instance[], { spentBy }: Books): Promise<number> {
    let open = 0
    for (const { id } of crashed) {
      const record = await raw.hget(store.nameOf({ key, endMs: END_MS }), `i:${id}`)
      open += Number(record?.split(' ')[2] ?? 0) - (spentBy.get(`${id} ${key}`) ?? 0)
    }
    return open
  }
})

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
