import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import * as usageDaily from '../../db/migrations/0016-usage-daily.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import { NO_USAGE, type Usage } from '../../db/model/usage.ts'
import { RefusedCallsError } from '../../db/stores/calls.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, rollupAndRecount, sampleCall, samplePrice } from './samples.ts'

describe.each(ENGINES)('calls on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())
  beforeEach(async () => {
    await on.database.db.deleteFrom('calls').execute()
    await on.database.db.deleteFrom('usage_hourly').execute()
    await on.database.db.deleteFrom('usage_daily').execute()
  })

  const insert = (calls: readonly unknown[]): Promise<number> => on.stores.calls.insertBatch(JSON.stringify(calls))
  const count = async (): Promise<number> => (await on.database.db.selectFrom('calls').select('id').execute()).length

  async function expectRightSums(hours: number, days: number): Promise<void> {
    const { rollup, recount } = await rollupAndRecount(on.database)
    expect(rollup).toEqual(recount)
    expect(rollup).toHaveLength(hours + days)
  }

  it('find() gives back every field as it was recorded, whichever way the row went in', async () => {
    const full = sampleCall({
      createdAtMs: NOON_MS + 123,
      errorCode: 'provider_error',
      outcome: 'cut',
      status: 502,
      usage: {
        input: 1,
        cacheRead: 2,
        cacheWrite5m: 3,
        cacheWrite1h: 4,
        output: 5,
        reasoning: 6,
        audioInput: 7,
        audioOutput: 8,
        imageInput: 2_147_483_647,
        imageOutput: 2_147_483_646,
      },
      costPico: Number.MAX_SAFE_INTEGER,
      chargedPico: Number.MAX_SAFE_INTEGER,
      charge: '{"paidBy":"credits"}',
      latencyUs: 86_400_000_000,
      adapted: `it's "quoted", \\back\\slashed,\ttabbed\nand {braced}`,
      endUser: 'Zoë 🦊 日本 '.repeat(20),
      metadata: '{"a":"\\u0000 written out"}',
      clientRequestId: '',
      upstreamId: 'NULL',
    })
    const bare = sampleCall({
      model: null,
      provider: null,
      priceId: null,
      firstByteUs: null,
      route: null,
      upstreamId: null,
      usage: NO_USAGE,
      usageSource: 'none',
      stream: false,
      costPico: 0,
    })
    const negative = sampleCall({ costPico: -5, createdAtMs: 1 })
    expect(await insert([full, bare])).toBe(2)
    // One that is there already sends the batch the other way.
    expect(await insert([full, negative])).toBe(1)
    for (const call of [full, bare, negative]) {
      expect((await on.stores.calls.find('prj_a', call.id))?.call).toEqual(call)
    }
    const again = { ...full, id: 'req_again' }
    expect(await insert([full, again])).toBe(1)
    expect((await on.stores.calls.find('prj_a', 'req_again'))?.call).toEqual(again)
  })

  it('a line of a journal of before calls were charged is charged nothing, whichever way the row goes in', async () => {
    const old = () => {
      const { chargedPico: _, charge: __, ...before } = sampleCall()
      return before
    }
    const first = old()
    const second = old()
    expect(await insert([first])).toBe(1)
    // One that is there already sends the batch the other way.
    expect(await insert([first, second])).toBe(1)
    for (const call of [first, second]) {
      expect((await on.stores.calls.find('prj_a', call.id))?.call).toEqual({ ...call, chargedPico: null, charge: null })
    }
    await expectRightSums(1, 1)
  })

  it('a line of a journal of before pictures were counted has none, whichever way the row goes in', async () => {
    const old = (): CallRecord => {
      const { usage, ...call } = sampleCall()
      const { imageOutput: _, ...before } = usage
      return { ...call, usage: before as Usage }
    }
    const first = old()
    const second = old()
    expect(await insert([first])).toBe(1)
    // One that is there already sends the batch the other way.
    expect(await insert([first, second])).toBe(1)
    for (const { id, usage } of [first, second]) {
      expect((await on.stores.calls.find('prj_a', id))?.call.usage).toEqual({ ...usage, imageOutput: 0 })
    }
    await expectRightSums(1, 1)
  })

  it('find() answers the price of the record, and nothing to another project', async () => {
    await on.stores.prices.ensure([samplePrice()])
    const priced = sampleCall()
    const unpriced = sampleCall({ priceId: null, costPico: null })
    await insert([priced, unpriced])
    expect((await on.stores.calls.find('prj_a', priced.id))?.price).toEqual(samplePrice())
    expect((await on.stores.calls.find('prj_a', unpriced.id))?.price).toBeNull()
    expect(await on.stores.calls.find('prj_b', priced.id)).toBeNull()
    expect(await on.stores.calls.find('prj_a', 'req_none')).toBeNull()
  })

  it('a batch given twice, and batches that overlap, are counted once', async () => {
    const calls = Array.from({ length: 30 }, (_, i) =>
      sampleCall({
        createdAtMs: NOON_MS + i * 600_000,
        keyId: `key_${i % 2}`,
        outcome: (['done', 'error', 'aborted', 'cut'] as const)[i % 4]!,
        provider: i % 5 === 0 ? null : 'openai',
        model: i % 5 === 0 ? null : `m'${i % 3}`,
        costPico: i % 7 === 0 ? null : 1_000 + i,
      }),
    )
    expect(await insert(calls.slice(0, 20))).toBe(20)
    expect(await insert(calls.slice(0, 20))).toBe(0)
    expect(await insert(calls.slice(10))).toBe(10)
    expect(await insert([...calls, ...calls])).toBe(0)
    const twice = sampleCall()
    expect(await insert([twice, twice])).toBe(1)
    expect(await count()).toBe(31)
    const { rollup, recount } = await rollupAndRecount(on.database)
    expect(rollup).toEqual(recount)
    expect(rollup.length).toBeGreaterThan(10)
  })

  it('a database of before there were daily sums gets those of the calls it has', async () => {
    const calls = Array.from({ length: 60 }, (_, i) =>
      sampleCall({ createdAtMs: NOON_MS + i * 3_600_000, keyId: `key_${i % 2}`, chargedPico: i % 3 === 0 ? i : null }),
    )
    await insert(calls)
    await sql`drop table usage_daily`.execute(on.database.db)
    await usageDaily.up(on.database.db as Kysely<unknown>)
    await expectRightSums(60, 6)
    await insert([sampleCall({ createdAtMs: NOON_MS + 3_600_000, keyId: 'key_1' })])
    await expectRightSums(60, 6)
  })

  it('sums of money are exact beyond what a number holds', async () => {
    const costPico = Number.MAX_SAFE_INTEGER
    await insert(Array.from({ length: 11 }, () => sampleCall({ costPico })))
    await insert(Array.from({ length: 11 }, () => sampleCall({ costPico })))
    const row = await on.database.db.selectFrom('usage_hourly').select('cost_pico').executeTakeFirstOrThrow()
    expect(row.cost_pico).toBe((BigInt(costPico) * 22n).toString())
    await expectRightSums(1, 1)
  })

  it('batches that are inserted at once, in any order of their rows, are each counted once', async () => {
    const calls = Array.from({ length: 200 }, (_, i) =>
      sampleCall({ keyId: `key_${i % 10}`, createdAtMs: NOON_MS + (i % 4) * 3_600_000 }),
    )
    const parts = [calls, calls.toReversed(), calls.slice(50, 150), calls.slice(100).toReversed()]
    const inserted = await Promise.all(parts.map(insert))
    expect(inserted.reduce((a, b) => a + b)).toBe(200)
    await expectRightSums(20, 10)
  })

  it('an empty batch is fine', async () => {
    expect(await insert([])).toBe(0)
  })

  it('what PostgreSQL can’t hold is taken out of texts, and the call is stored', async () => {
    const odd = sampleCall({ endUser: 'a\0b\ud800c', model: 'm\0\udfff', metadata: '\\u0000' })
    const plain = sampleCall({ endUser: 'plain', metadata: 'a\\\\u0000b' })
    expect(await insert([odd, plain])).toBe(2)
    expect(await insert([odd, sampleCall({ endUser: '\0' })])).toBe(1)
    const found = await on.stores.calls.find('prj_a', odd.id)
    expect(found?.call).toEqual({ ...odd, endUser: 'ab\ufffdc', model: 'm\ufffd' })
    expect((await on.stores.calls.find('prj_a', plain.id))?.call).toEqual(plain)
    const { rollup, recount } = await rollupAndRecount(on.database)
    expect(rollup).toEqual(recount)
  })

  it.each<[string, (call: CallRecord) => unknown]>([
    ['a counter beyond an int', (call) => ({ ...call, usage: { ...call.usage, input: 3_000_000_000 } })],
    ['a counter in words', (call) => ({ ...call, usage: { ...call.usage, input: 'many' } })],
    ['a fraction of a token', (call) => ({ ...call, usage: { ...call.usage, input: 1.5 } })],
    ['no usage', ({ usage: _, ...call }) => call],
    ['no status', (call) => ({ ...call, status: null })],
    ['a status in words', (call) => ({ ...call, status: 'fine' })],
    ['a time that isn’t one', (call) => ({ ...call, createdAtMs: 'noon' })],
    ['no id', (call) => ({ ...call, id: null })],
  ])('a record with %s is refused by name, and all others are stored', async (_, spoil) => {
    const good = Array.from({ length: 9 }, () => sampleCall())
    const bad = spoil(sampleCall({ id: 'req_bad' })) as { id: string | null }
    const batch = [...good.slice(0, 4), bad, ...good.slice(4)]
    const error = await insert(batch).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(RefusedCallsError)
    expect((error as RefusedCallsError).refused).toEqual([bad.id ?? ''])
    expect((error as RefusedCallsError).inserted).toBe(9)
    expect(await count()).toBe(9)
    expect(await insert(good)).toBe(0)
    await expectRightSums(1, 1)
  })

  it('a text that isn’t a JSON array is an error and stores nothing', async () => {
    await expect(on.stores.calls.insertBatch('[{"id":')).rejects.toThrow()
    await expect(on.stores.calls.insertBatch('{}')).rejects.toThrow()
    expect(await count()).toBe(0)
  })
})
