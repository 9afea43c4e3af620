import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { recordLine } from '../../server/journal/line.ts'
import { JournalFullError } from '../../server/journal.ts'
import { call, FakeDisk, price, rig, turns, until } from './kit.ts'

const FIRST = '/j/calls-00000001.ndjson'
const MESSAGE = 'can not write'

function linesOf(text: string): unknown[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('A full disk', () => {
  it('holds up no call, is said once, and gets all lines whole and in order when there is room again', async () => {
    for (const room of [0, 1, 100, 700, 701, 1_500]) {
      const { disk, books, append, clock, journal, written, log } = await rig()
      books.failure = new Error('away')
      append(0, 2)
      await turns(1)
      disk.free = room
      append(2, 5)
      await turns(1)
      append(5, 6)
      await turns(1)
      expect(written).toEqual([0, 1, 2, 3, 4, 5])
      await clock.advance(3_500)
      expect(journal.status()).toMatchObject({ degraded: true, fault: 'write' })
      expect(log.count('error', MESSAGE)).toBe(1)
      disk.free = Number.POSITIVE_INFINITY
      await clock.advance(1_000)
      expect(journal.status()).toMatchObject({ degraded: false, fault: null, unwrittenBytes: 0 })
      expect(log.count('info', 'can write again')).toBe(1)
      append(6, 8)
      await turns(1)
      const calls = Array.from({ length: 8 }, (_, n) => call(n))
      expect(linesOf(disk.text(FIRST))).toEqual([{ price: price('price_1') }, ...calls])
      books.failure = null
      await clock.advance(6_000)
      expect(books.ranges).toBe('0-7')
    }
  })

  it('does not keep calls from the database, and what arrived there need not be written any more', async () => {
    const { disk, books, append, clock, journal, log } = await rig({ memoryBytes: 20_000 })
    append(0, 2)
    await clock.advance(300)
    disk.free = 300
    for (let n = 2; n < 202; n += 10) {
      append(n, n + 10)
      await clock.advance(260)
    }
    expect(books.ranges).toBe('0-201')
    expect(journal.status()).toMatchObject({ degraded: true, unwrittenBytes: 0, bytes: 0 })
    expect(log.count('error', MESSAGE)).toBe(1)
    expect(disk.text(FIRST)).toMatch(/\}\n$/)
    disk.free = Number.POSITIVE_INFINITY
    books.failure = new Error('away')
    append(202, 204)
    await clock.advance(2_000)
    expect(journal.status().degraded).toBe(false)
    // Only what is needed: whole lines, no torn one between them.
    const crashed = await rig({ disk: disk.afterCrash() })
    await crashed.clock.advance(300)
    expect(crashed.books.ranges).toMatch(/^0-1 .*202-203$|^0-1 202-203$/)
    expect(crashed.disk.files.has('/j/refused.ndjson')).toBe(false)
    expect(crashed.log.count('warn', 'cut off')).toBe(0)
    books.failure = null
    await clock.advance(6_000)
    expect(books.ranges).toBe('0-203')
  })

  it('right after a new file was begun does not mix up the two', async () => {
    const { disk, books, clock, journal } = await rig({ segmentBytes: 1_000 })
    function append(from: number, to: number): void {
      for (let n = from; n < to; n++) journal.append(call(n, { priceId: null }), null, () => {})
    }
    books.failure = new Error('away')
    append(0, 3)
    await turns(1)
    expect(journal.status().segments).toBe(2)
    disk.free = 0
    append(3, 5)
    await turns(1)
    books.failure = null
    await clock.advance(500)
    expect(books.ranges).toBe('0-4')
    disk.free = Number.POSITIVE_INFINITY
    books.failure = new Error('away')
    append(5, 7)
    await clock.advance(1_000)
    expect(journal.status().degraded).toBe(false)
    const crashed = await rig({ disk: disk.afterCrash() })
    await crashed.clock.advance(300)
    expect(crashed.books.ranges).toBe('5-6')
  })

  it('makes append() throw when the memory is full too, and take calls again later', async () => {
    const { disk, books, append, clock, journal, written } = await rig({ memoryBytes: 20_000 })
    books.failure = new Error('away')
    disk.free = 0
    let n = 0
    expect(() => {
      for (; n < 1_000; n++) append(n, n + 1)
    }).toThrow(JournalFullError)
    expect(n).toBeGreaterThan(20)
    expect(n).toBeLessThan(30)
    await clock.advance(2_000)
    expect(written.length).toBe(n)
    expect(() => append(n, n + 1)).toThrow(JournalFullError)
    expect(journal.status().memoryBytes).toBeLessThan(20_000)
    disk.free = Number.POSITIVE_INFINITY
    await clock.advance(1_000)
    append(n, n + 100)
    await turns(1)
    books.failure = null
    await clock.advance(6_000)
    await until(() => books.numbers.length === n + 100)
    expect(books.ranges).toBe(`0-${n + 99}`)
  })

  it('with memory full of written lines as well loses none of either', async () => {
    const { disk, books, append, clock } = await rig({ memoryBytes: 20_000 })
    books.failure = new Error('away')
    for (let n = 0; n < 100; n += 5) {
      append(n, n + 5)
      await turns(1)
    }
    disk.free = 1_000
    append(100, 110)
    await turns(1)
    append(110, 115)
    await clock.advance(1_000)
    books.failure = null
    await clock.advance(6_000)
    await until(() => books.numbers.length === 115)
    expect(books.ranges).toBe('0-114')
    disk.free = Number.POSITIVE_INFINITY
    await clock.advance(2_000)
    append(115, 120)
    await clock.advance(300)
    expect(books.ranges).toBe('0-119')
    expect(books.repeated).toBe(0)
  })

  it('at a crash leaves a torn line at most', async () => {
    const { disk, books, append } = await rig()
    books.failure = new Error('away')
    append(0, 4)
    await turns(1)
    disk.free = recordLine(call(4)).length + 50
    append(4, 8)
    await turns(1)
    const next = await rig({ disk: disk.afterCrash() })
    await next.clock.advance(300)
    expect(next.books.ranges).toBe('0-4')
    expect(next.log.count('warn', 'cut off')).toBe(1)
  })

  it('calls back with fsync always too', async () => {
    const { disk, append, written } = await rig({ fsync: 'always' })
    disk.free = 0
    append(0, 2)
    await turns()
    expect(written).toEqual([0, 1])
  })
})

describe('A disk that can not sync', () => {
  it.each(['always', 'interval'] as const)('is said once and holds up no call (%s)', async (fsync) => {
    const { disk, append, clock, journal, written, log } = await rig({ fsync })
    disk.failSync = true
    for (let n = 0; n < 10; n++) {
      append(n, n + 1)
      await clock.advance(200)
    }
    expect(written.length).toBe(10)
    expect(journal.status()).toMatchObject({ degraded: true, fault: 'sync' })
    expect(log.count('error', 'can not sync')).toBe(1)
    disk.failSync = false
    await clock.advance(400)
    expect(journal.status().degraded).toBe(false)
  })
})

describe('A folder in which no file can be made', () => {
  it('keeps the journal in its last file, and says so at most once a second', async () => {
    const { disk, books, append, clock, log } = await rig({ segmentBytes: 5_000 })
    disk.failCreate = true
    for (let n = 0; n < 100; n++) {
      append(n, n + 1)
      await clock.advance(10)
    }
    expect([...disk.files.keys()]).toEqual([FIRST])
    expect(log.count('warn', 'could not begin')).toBeLessThanOrEqual(2)
    disk.failCreate = false
    await clock.advance(1_000)
    append(100, 101)
    await clock.advance(300)
    expect([...disk.files.keys()]).toEqual(['/j/calls-00000002.ndjson'])
    expect(books.ranges).toBe('0-100')
  })
})

describe('A file name that is taken', () => {
  it('is never written over', async () => {
    const disk = new FakeDisk()
    disk.put('/j/calls-00000004.ndjson', Buffer.from(recordLine(call(1))))
    await rig({ disk })
    expect([...disk.files.keys()].sort().at(-1)).toBe('/j/calls-00000005.ndjson')
  })
})
