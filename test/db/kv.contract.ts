import { afterAll, describe, expect, it } from 'vitest'
import type { Kv, Wish } from '../../db/kv/kv.ts'
import { Random } from '../helpers/random.ts'

const MINUTE_MS = 60_000
const NOW_MS = 1_800_000_000_000 + 20_000
let keys = 0

/** What every Kv promises. @param open a store, which may be shared with others and keeps nothing of their keys */
export function kvContract(name: string, open: () => Promise<Kv> | Kv): void {
  describe(`kv on ${name}`, async () => {
    const kv = await open()
    afterAll(() => kv.close())
    const freshKey = (): string => `contract:${process.pid}:${keys++}`
    const take = async (key: string, limit: number, nowMs = NOW_MS, windowMs = MINUTE_MS) =>
      kv.take(key, limit, { windowMs, nowMs })

    it('take() lets exactly `limit` pass in a window and counts down to zero', async () => {
      const key = freshKey()
      const taken = []
      for (let i = 0; i < 5; i++) taken.push(await take(key, 3))
      expect(taken.map((one) => one.allowed)).toEqual([true, true, true, false, false])
      expect(taken.map((one) => one.remaining)).toEqual([2, 1, 0, 0, 0])
    })

    it('take() lets exactly `limit` pass of any number at once', async () => {
      const key = freshKey()
      const taken = await Promise.all(Array.from({ length: 1_000 }, () => take(key, 60)))
      expect(taken.filter((one) => one.allowed)).toHaveLength(60)
    })

    it('windows start at multiples of their length, and say when they end', async () => {
      const start = Math.floor(NOW_MS / MINUTE_MS) * MINUTE_MS
      const key = freshKey()
      expect((await take(key, 1, start)).resetMs).toBe(start + MINUTE_MS)
      expect(await take(key, 1, start + MINUTE_MS - 1)).toEqual({
        allowed: false,
        remaining: 0,
        resetMs: start + MINUTE_MS,
      })
      expect(await take(key, 1, start + MINUTE_MS)).toEqual({
        allowed: true,
        remaining: 0,
        resetMs: start + 2 * MINUTE_MS,
      })
    })

    it('a refused take changes nothing: a higher limit still has what is left of it', async () => {
      const key = freshKey()
      await take(key, 1)
      for (let i = 0; i < 10; i++) expect((await take(key, 1)).allowed).toBe(false)
      expect(await take(key, 3)).toMatchObject({ allowed: true, remaining: 1 })
    })

    it('nothing passes a limit of zero, and what remains is never below zero', async () => {
      const key = freshKey()
      expect(await take(key, 0)).toMatchObject({ allowed: false, remaining: 0 })
      await take(key, 2)
      await take(key, 2)
      expect(await take(key, 1)).toMatchObject({ allowed: false, remaining: 0 })
    })

    it('keys, and windows of another length, count for themselves', async () => {
      const key = freshKey()
      expect((await take(key, 1)).allowed).toBe(true)
      expect((await take(freshKey(), 1)).allowed).toBe(true)
      expect((await take(key, 1, NOW_MS, 1_000)).allowed).toBe(true)
      expect((await take(key, 1)).allowed).toBe(false)
    })

    const END_MS = NOW_MS + 30_000
    const wish = (key: string, limit: number, amount: number, endMs = END_MS): Wish => ({ key, limit, amount, endMs })
    const takeAll = async (...wishes: Wish[]) => kv.takeAll(wishes, NOW_MS)
    const used = async (...keys: string[]) =>
      kv.read(
        keys.map((key) => wish(key, 0, 0)),
        NOW_MS,
      )

    it('takeAll() takes from all or from none, and says which refuses and when that window ends', async () => {
      const [wide, narrow] = [freshKey(), freshKey()]
      const both = [wish(wide, 100, 10), wish(narrow, 15, 10, END_MS + 1)] as const
      expect(await takeAll(...both)).toEqual({ allowed: true, refused: -1, resetMs: null, remaining: [90, 5] })
      expect(await takeAll(...both)).toEqual({ allowed: false, refused: 1, resetMs: END_MS + 1, remaining: [90, 5] })
      expect(await used(wide)).toEqual([10])
      expect(await takeAll(wish(wide, 100, 90))).toMatchObject({ allowed: true, remaining: [0] })
      const other = wish(freshKey(), 1, 1)
      expect(await takeAll(wish(wide, 100, 1), other)).toMatchObject({ allowed: false, refused: 0, resetMs: END_MS })
      expect(await takeAll(wish(narrow, 15, 5, END_MS + 1))).toMatchObject({ allowed: true })
    })

    it('takeAll() lets exactly as much pass as the tightest holds, of any number at once', async () => {
      const [a, b, c] = [freshKey(), freshKey(), freshKey()]
      const random = new Random(7)
      const all = await Promise.all(
        Array.from({ length: 500 }, () =>
          takeAll(...random.shuffle([wish(a, 1_000, 3), wish(b, 70, 1), wish(c, 2_000, 11)])),
        ),
      )
      expect(all.filter(({ allowed }) => allowed)).toHaveLength(70)
      expect(await used(a, b, c)).toEqual([210, 70, 770])
    })

    it('amounts are exact up to 2^53', async () => {
      const key = freshKey()
      const limit = Number.MAX_SAFE_INTEGER
      expect(await takeAll(wish(key, limit, limit - 2))).toMatchObject({ allowed: true, remaining: [2] })
      expect(await used(key)).toEqual([limit - 2])
      expect(await takeAll(wish(key, limit, 3))).toMatchObject({ allowed: false })
      expect(await takeAll(wish(key, limit, 1))).toMatchObject({ allowed: true })
      expect(await takeAll(wish(key, limit, 1))).toMatchObject({ allowed: true, remaining: [0] })
      expect(await takeAll(wish(key, limit, 1))).toMatchObject({ allowed: false })
    })

    it('an amount of 0 passes while anything is left, and takes nothing', async () => {
      const key = freshKey()
      for (let i = 0; i < 5; i++)
        expect(await takeAll(wish(key, 2, 0))).toMatchObject({ allowed: true, remaining: [2] })
      expect(await takeAll(wish(key, 2, 2))).toMatchObject({ allowed: true })
      expect(await takeAll(wish(key, 2, 0))).toMatchObject({ allowed: false, refused: 0 })
      expect(await takeAll(wish(freshKey(), 0, 0))).toMatchObject({ allowed: false })
    })

    it('add() counts after the fact, passes the limit, and then nothing passes', async () => {
      const key = freshKey()
      expect(await takeAll(wish(key, 1_000, 0))).toMatchObject({ allowed: true })
      await kv.add(wish(key, 1_000, 0), 600, NOW_MS)
      expect(await takeAll(wish(key, 1_000, 0))).toMatchObject({ allowed: true, remaining: [400] })
      await kv.add(wish(key, 1_000, 0), 600, NOW_MS)
      expect(await takeAll(wish(key, 1_000, 0))).toMatchObject({ allowed: false, remaining: [0] })
      expect(await used(key)).toEqual([1_200])
    })

    it('add() of less than nothing gives back what was taken', async () => {
      const key = freshKey()
      expect(await takeAll(wish(key, 10, 10))).toMatchObject({ allowed: true })
      expect(await takeAll(wish(key, 10, 1))).toMatchObject({ allowed: false })
      await kv.add(wish(key, 10, 0), -4, NOW_MS)
      expect(await used(key)).toEqual([6])
      expect(await takeAll(wish(key, 10, 4))).toMatchObject({ allowed: true, remaining: [0] })
      expect(await takeAll(wish(key, 10, 1))).toMatchObject({ allowed: false })
    })

    it('another end is another window', async () => {
      const key = freshKey()
      expect(await takeAll(wish(key, 1, 1))).toMatchObject({ allowed: true })
      expect(await kv.takeAll([wish(key, 1, 1, END_MS + MINUTE_MS)], END_MS)).toMatchObject({ allowed: true })
      expect(await kv.takeAll([wish(key, 1, 1, END_MS + MINUTE_MS)], END_MS)).toMatchObject({ allowed: false })
    })

    it('atLeast() raises what is used and never lowers it, however often it is said', async () => {
      const [fresh, ahead] = [freshKey(), freshKey()]
      expect(await takeAll(wish(ahead, 100, 50))).toMatchObject({ allowed: true })
      const say = async (key: string, amount: number) => kv.atLeast(wish(key, 100, 0), amount, NOW_MS)
      for (const amount of [30, 30, 10]) for (const key of [fresh, ahead]) await say(key, amount)
      expect((await used(fresh, ahead))[0]).toBe(30)
      expect(await takeAll(wish(fresh, 100, 70))).toMatchObject({ allowed: true, remaining: [0] })
      expect(await takeAll(wish(fresh, 100, 1))).toMatchObject({ allowed: false })
      expect(await takeAll(wish(ahead, 100, 50))).toMatchObject({ allowed: true, remaining: [0] })
      expect(await takeAll(wish(ahead, 100, 1))).toMatchObject({ allowed: false })
    })

    it('atLeast() may pass the limit, and is for its own window alone', async () => {
      const key = freshKey()
      await kv.atLeast(wish(key, 10, 0), 25, NOW_MS)
      expect(await takeAll(wish(key, 10, 0))).toMatchObject({ allowed: false, remaining: [0] })
      expect(await takeAll(wish(key, 26, 1))).toMatchObject({ allowed: true, remaining: [0] })
      expect(await kv.takeAll([wish(key, 10, 10, END_MS + MINUTE_MS)], END_MS)).toMatchObject({ allowed: true })
    })

    it('read() knows what was never taken as 0', async () => {
      expect(await used(freshKey(), freshKey())).toEqual([0, 0])
    })

    it('subscribe() hears every publish() on its channel from then on, until it is ended', async () => {
      const heard: string[] = []
      const [channel, other] = [freshKey(), freshKey()]
      const texts = ['', 'a', 'key:1,2,3', '{"a":"ü\\n"}']
      const end = await kv.subscribe(channel, (text) => heard.push(text))
      await kv.publish(other, 'not this')
      for (const text of texts) await kv.publish(channel, text)
      await expect.poll(() => heard).toEqual(texts)
      end()
      await kv.publish(channel, 'late')
      const last = await new Promise<string>((resolve) => {
        void kv.subscribe(channel, resolve).then(() => kv.publish(channel, 'last'))
      })
      expect(last).toBe('last')
      expect(heard).toEqual(texts)
    })

    it('ping() resolves', async () => {
      await expect(kv.ping()).resolves.toBeUndefined()
    })
  })
}
