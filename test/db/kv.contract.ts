import { afterAll, describe, expect, it } from 'vitest'
import type { Kv } from '../../db/kv/kv.ts'

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

    it('ping() resolves', async () => {
      await expect(kv.ping()).resolves.toBeUndefined()
    })
  })
}
