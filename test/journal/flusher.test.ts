import { describe, expect, it } from 'vitest'
import type { Sink } from '../../server/journal.ts'
import { Books, call, price, rig, turns, until } from './kit.ts'

/** A sink whose answers the test gives, one by one. */
function heldSink() {
  const batches: { ids: string[]; prices: string[]; answer: (error?: Error) => void }[] = []
  const sink: Sink = ({ callsJson, prices }) =>
    new Promise((resolve, reject) => {
      batches.push({
        ids: JSON.parse(callsJson).map(({ id }: { id: string }) => id),
        prices: prices.map(({ id }) => id),
        answer: (error) => (error === undefined ? resolve() : reject(error)),
      })
    })
  return { sink, batches }
}

class Refused extends Error {
  readonly refused: readonly string[]
  constructor(refused: readonly string[]) {
    super('value too long')
    this.refused = refused
  }
}

describe('Records reach the sink', () => {
  it('after flushMs, together, with the prices that the sink has not seen', async () => {
    const { sink, batches } = heldSink()
    const { append, journal, clock } = await rig({ sink, flushMs: 250 })
    append(0, 3)
    await clock.advance(200)
    append(3, 5)
    expect(batches.length).toBe(0)
    await clock.advance(50)
    expect(batches[0]?.ids).toEqual([0, 1, 2, 3, 4].map((n) => call(n).id))
    expect(batches[0]?.prices).toEqual(['price_1'])
    batches[0]?.answer()
    journal.append(call(5, { priceId: 'price_2' }), price('price_2'), () => {})
    journal.append(call(6), price('price_1'), () => {})
    await clock.advance(250)
    expect(batches[1]?.ids).toEqual([call(5).id, call(6).id])
    expect(batches[1]?.prices).toEqual(['price_2'])
  })

  it('at once when a batch is full, one batch at a time, larger ones while there is a backlog', async () => {
    const { sink, batches } = heldSink()
    const { append, clock } = await rig({ sink, batch: 500, batchCap: 2_000 })
    append(0, 499)
    await turns()
    expect(batches.length).toBe(0)
    append(499, 500)
    await turns()
    expect(batches.map(({ ids }) => ids.length)).toEqual([500])
    append(500, 5_000)
    await clock.advance(10_000)
    expect(batches.length).toBe(1)
    for (let i = 0; i < batches.length; i++) {
      batches[i]!.answer()
      await clock.advance(250)
    }
    const sizes = batches.map(({ ids }) => ids.length)
    expect(sizes.reduce((a, b) => a + b)).toBe(5_000)
    expect(sizes[1]).toBeGreaterThanOrEqual(2_000)
    expect(Math.max(...sizes)).toBeLessThan(2_500)
    expect(batches.flatMap(({ ids }) => ids)).toEqual(Array.from({ length: 5_000 }, (_, n) => call(n).id))
  })
})

describe('A sink that fails', () => {
  it('is tried again after 100 ms, then twice as long each time up to 5 s, for ever, and said once', async () => {
    const { books, append, clock, log, journal } = await rig()
    books.failure = new Error('connection refused')
    append(0, 10)
    await clock.advance(250)
    expect(books.tries).toBe(1)
    for (const waitMs of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]) {
      const { tries } = books
      await clock.advance(waitMs - 1)
      expect(books.tries).toBe(tries)
      await clock.advance(1)
      expect(books.tries).toBe(tries + 1)
    }
    append(10, 20)
    expect(journal.status()).toMatchObject({ records: 20, sinkFailures: 10, degraded: false })
    expect(journal.status().oldestMs).toBeGreaterThan(20_000)
    books.failure = null
    await clock.advance(6_000)
    expect(books.ranges).toBe('0-19')
    expect(books.repeated).toBe(0)
    expect(log.count('warn', 'could not store')).toBe(1)
    expect(log.count('info', 'stores calls again')).toBe(1)
    expect(journal.status()).toMatchObject({ records: 0, sinkFailures: 0, oldestMs: 0 })
  })

  it('may also throw outright', async () => {
    let tries = 0
    const { append, clock } = await rig({
      sink: () => {
        if (++tries < 3) throw new Error('no pool')
        return Promise.resolve()
      },
    })
    append(0, 1)
    await clock.advance(1_000)
    expect(tries).toBe(3)
  })

  it('is not fed faster because more calls come in', async () => {
    const { books, append, clock } = await rig()
    books.failure = new Error('away')
    for (let n = 0; n < 20_000; n += 1_000) {
      append(n, n + 1_000)
      await clock.advance(10)
    }
    expect(books.tries).toBeLessThanOrEqual(3)
  })

  it('for an hour loses nothing, repeats nothing and fills no memory, calls going on while it catches up', async () => {
    const memoryBytes = 512 * 1024
    const { books, append, clock, journal, disk } = await rig({ memoryBytes, segmentBytes: 1024 * 1024 })
    books.failure = new Error('away')
    let n = 0
    let most = 0
    for (let minute = 0; minute < 60; minute++) {
      for (let tick = 0; tick < 10; tick++, n += 40) {
        append(n, n + 40)
        await turns(1)
        most = Math.max(most, journal.status().memoryBytes)
      }
      await clock.advance(60_000)
    }
    expect(most).toBeLessThan(memoryBytes * 1.2)
    expect(journal.status().records).toBe(24_000)
    expect(disk.files.size).toBeGreaterThan(10)
    books.failure = null
    // While it reads the files back, more comes in.
    for (let tick = 0; tick < 200; tick++, n += 20) {
      append(n, n + 20)
      await clock.advance(30)
    }
    // The last ones may be less than a batch, which waits for its time.
    await clock.advance(300)
    await until(() => books.numbers.length === n)
    expect(books.ranges).toBe(`0-${n - 1}`)
    expect(books.repeated).toBe(0)
    expect(books.mostUnderWay).toBe(1)
    expect(journal.status()).toMatchObject({ records: 0, bytes: 0 })
    // Caught up: from memory again, without a file read.
    disk.failRead = /./
    append(n, n + 10)
    await clock.advance(300)
    expect(books.ranges).toBe(`0-${n + 9}`)
    expect(disk.files.size).toBeLessThanOrEqual(2)
  })
})

describe('Records that the sink refuses', () => {
  function picky(bad: readonly number[]) {
    const books = new Books()
    const ids = bad.map((n) => call(n).id)
    const sink: Sink = async (batch) => {
      const refused = ids.filter((id) => batch.callsJson.includes(id))
      if (refused.length > 0) throw new Refused(refused)
      await books.sink(batch)
    }
    return { books, sink }
  }

  it('are set aside with the reason, and the rest is stored at once', async () => {
    const { books, sink } = picky([3, 7])
    const { append, clock, disk, journal } = await rig({ sink })
    append(0, 10)
    await clock.advance(250)
    expect(books.ranges).toBe('0-2 4-6 8-9')
    expect(books.prices).toEqual(['price_1'])
    const aside = disk
      .text('/j/refused.ndjson')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(aside.map(({ record }) => record)).toEqual([call(3), call(7)])
    expect(aside[0].reason).toBe('value too long')
    expect(journal.status()).toMatchObject({ records: 0, bytes: 0, refused: 2, sinkFailures: 0 })
    await expect(journal.drained(0)).resolves.toBeUndefined()
  })

  it('may be all of a batch: its prices still arrive', async () => {
    const { books, sink } = picky([0, 1])
    const { append, clock } = await rig({ sink })
    append(0, 2)
    await clock.advance(250)
    append(2, 3)
    await clock.advance(250)
    expect(books.ranges).toBe('2')
    expect(books.prices).toEqual(['price_1'])
  })

  it('are kept in their file when they can not be set aside', async () => {
    const { books, sink } = picky([1])
    const { append, clock, disk, journal } = await rig({ sink })
    disk.failAppend = true
    append(0, 3)
    await clock.advance(250)
    expect(books.ranges).toBe('0 2')
    const closing = journal.close()
    await clock.advance(0)
    await closing
    expect(disk.text('/j/calls-00000001.ndjson.damaged')).toContain(call(1).id)
  })

  it('that are not in the batch count as a failure, not as an endless loop', async () => {
    let tries = 0
    const sink: Sink = async () => {
      tries++
      throw new Refused(['req_of_somebody_else'])
    }
    const { append, clock } = await rig({ sink })
    append(0, 1)
    await clock.advance(250)
    expect(tries).toBe(1)
    await clock.advance(100)
    expect(tries).toBe(2)
  })
})

describe('drained', () => {
  it('hands on at once and resolves when all that was appended before is stored', async () => {
    const { sink, batches } = heldSink()
    const { append, journal } = await rig({ sink })
    append(0, 3)
    let isDrained = false
    const drained = journal.drained(1_000).then(() => {
      isDrained = true
    })
    append(3, 4)
    await turns()
    expect(batches[0]?.ids).toEqual([call(0).id, call(1).id, call(2).id])
    expect(isDrained).toBe(false)
    batches[0]?.answer()
    await drained
  })

  it('resolves at once when nothing waits', async () => {
    const { journal, clock } = await rig()
    await journal.drained(0)
    expect(clock.timers).toBe(0)
  })

  it('waits for the batch under way and the next', async () => {
    const { sink, batches } = heldSink()
    const { append, journal, clock } = await rig({ sink })
    append(0, 3)
    await clock.advance(250)
    append(3, 5)
    const order: string[] = []
    const drained = journal.drained(1_000).then(() => order.push('drained'))
    batches[0]?.answer()
    await turns()
    expect(order).toEqual([])
    expect(batches[1]?.ids).toEqual([call(3).id, call(4).id])
    batches[1]?.answer()
    await drained
    expect(clock.timers).toBeLessThanOrEqual(2)
  })

  it('rejects when the time is over, and the records still go on', async () => {
    const { books, append, journal, clock } = await rig()
    books.failure = new Error('away')
    append(0, 3)
    const drained = expect(journal.drained(1_000)).rejects.toThrow('within 1000 ms')
    await clock.advance(1_000)
    await drained
    books.failure = null
    await clock.advance(5_000)
    expect(books.ranges).toBe('0-2')
  })

  it('cuts a long pause short, but asks a database that is down no more than ten times a second', async () => {
    const { books, append, journal, clock } = await rig()
    books.failure = new Error('away')
    append(0, 3)
    await clock.advance(20_000)
    const { tries } = books
    const all = Array.from({ length: 100 }, () => journal.drained(2_000))
    await turns()
    expect(books.tries - tries).toBeLessThanOrEqual(1)
    for (let i = 0; i < 10; i++) {
      all.push(journal.drained(1_000))
      await clock.advance(10)
    }
    expect(books.tries - tries).toBeLessThanOrEqual(3)
    books.failure = null
    await clock.advance(600)
    await Promise.all(all)
    expect(books.ranges).toBe('0-2')
  })
})
