import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openJournal } from '../../server/journal.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { Books, call, emptyFolder, memoryLog, price, rig, turns } from './kit.ts'

const FIRST = '/j/calls-00000001.ndjson'

describe('append', () => {
  it('writes all of one tick at once and calls back only when it is in the file', async () => {
    const { journal, disk, append, written } = await rig()
    append(0, 8)
    let seen = ''
    journal.append(call(8), null, () => {
      seen = disk.text(FIRST)
    })
    expect(disk.writes).toBe(0)
    expect(written).toEqual([])
    await turns(1)
    expect(written).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(seen).toContain(call(8).id)
    expect(disk.writes).toBe(2)
    append(9, 12)
    await turns(1)
    expect(disk.writes).toBe(3)
  })

  it('writes records that parse to what was appended, and each price before its first use', async () => {
    const { journal, disk } = await rig()
    journal.append(call(1), price('price_1'), () => {})
    journal.append(call(2), null, () => {})
    journal.append(call(3, { priceId: 'price_2' }), price('price_2'), () => {})
    journal.append(call(4), price('price_1'), () => {})
    await turns(1)
    const lines = disk.text(FIRST).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { price: price('price_1') },
      call(1),
      call(2),
      { price: price('price_2') },
      call(3, { priceId: 'price_2' }),
      call(4),
    ])
  })

  it('takes 20 000 records in one tick, in order', async () => {
    const { append, written, clock, books } = await rig()
    append(0, 20_000)
    await turns(1)
    expect(written.length).toBe(20_000)
    await clock.advance(1_000)
    expect(books.ranges).toBe('0-19999')
  })

  it('takes a record larger than any block', async () => {
    const { journal, append, clock, books } = await rig()
    append(0, 3)
    const metadata = `"${'x'.repeat(700_000)}é`
    journal.append(call(3, { metadata }), null, () => {})
    append(4, 6)
    await clock.advance(300)
    expect(books.ranges).toBe('0-5')
    expect(books.calls.get(call(3).id)).toEqual(call(3, { metadata }))
  })

  it('calls back the others when one callback throws', async () => {
    const { journal, append, written, log } = await rig()
    journal.append(call(0), null, () => {
      throw new Error('mine')
    })
    append(1, 3)
    await turns(1)
    expect(written).toEqual([1, 2])
    expect(log.count('error', 'callback')).toBe(1)
  })

  it('may be called from a callback', async () => {
    const { journal, clock, books } = await rig()
    journal.append(call(0), null, () => journal.append(call(1), null, () => {}))
    await clock.advance(300)
    expect(books.ranges).toBe('0-1')
  })

  it('throws once the journal is closed', async () => {
    const { journal, clock } = await rig()
    const closing = journal.close()
    await clock.advance(0)
    await closing
    expect(() => journal.append(call(0), null, () => {})).toThrow('Journal is closed')
  })
})

describe('fsync', () => {
  it('happens once an interval, and only when something was written', async () => {
    const { disk, clock, append } = await rig({ fsyncMs: 200 })
    await clock.advance(1_000)
    expect(disk.syncs).toBe(0)
    append(0, 2)
    await turns(1)
    append(2, 4)
    await clock.advance(199)
    expect(disk.syncs).toBe(0)
    await clock.advance(1)
    expect(disk.syncs).toBe(1)
    await clock.advance(1_000)
    expect(disk.syncs).toBe(1)
    append(4, 5)
    await clock.advance(200)
    expect(disk.syncs).toBe(2)
  })

  it('comes again for what was written while one was under way', async () => {
    const { disk, clock, append } = await rig()
    disk.heldSyncs = []
    append(0, 1)
    await clock.advance(200)
    append(1, 2)
    await clock.advance(1_000)
    expect(disk.syncs).toBe(1)
    disk.heldSyncs.shift()?.()
    await clock.advance(200)
    expect(disk.syncs).toBe(2)
    disk.heldSyncs.shift()?.()
    await clock.advance(1_000)
    expect(disk.syncs).toBe(2)
  })

  it('comes before the callbacks when it is asked for each time, one for all that wait', async () => {
    const { disk, append, written } = await rig({ fsync: 'always' })
    disk.heldSyncs = []
    append(0, 2)
    await turns()
    append(2, 4)
    await turns()
    append(4, 5)
    await turns()
    expect(disk.text(FIRST)).toContain(call(4).id)
    expect(written).toEqual([])
    disk.heldSyncs.shift()?.()
    await turns()
    expect(written).toEqual([0, 1])
    disk.heldSyncs.shift()?.()
    await turns()
    expect(written).toEqual([0, 1, 2, 3, 4])
    expect(disk.syncs).toBe(2)
  })
})

describe('files', () => {
  it('are followed by the next one beyond a size, each with the prices it needs, and removed once confirmed', async () => {
    const { disk, books, clock, append, journal } = await rig({ segmentBytes: 10_000 })
    books.failure = new Error('away')
    for (let n = 0; n < 100; n += 5) {
      append(n, n + 5)
      await turns(1)
    }
    const paths = [...disk.files.keys()].sort()
    expect(paths.length).toBeGreaterThan(5)
    for (const path of paths.slice(0, -1)) {
      const [first, ...rest] = disk.text(path).trimEnd().split('\n')
      expect(JSON.parse(first!)).toEqual({ price: price('price_1') })
      for (const line of rest) expect(line).toMatch(/^\{"id":"req_/)
      expect(disk.files.get(path)!.length).toBeLessThan(15_000)
    }
    books.failure = null
    await clock.advance(5_000)
    expect(books.ranges).toBe('0-99')
    expect([...disk.files.keys()]).toEqual(paths.slice(-1))
    expect(disk.openFiles).toBe(1)
    expect(journal.status()).toMatchObject({ segments: 1, records: 0, bytes: 0, oldestMs: 0 })
  })

  it('are not held open while they wait for the database', async () => {
    const { disk, books, clock, append } = await rig({ segmentBytes: 10_000 })
    books.failure = new Error('away')
    for (let n = 0; n < 100; n += 5) {
      append(n, n + 5)
      await turns(1)
    }
    await clock.advance(1_000)
    expect(disk.files.size).toBeGreaterThan(5)
    expect(disk.openFiles).toBe(1)
  })

  it('do not keep what was confirmed long ago', async () => {
    const { disk, clock, append, books } = await rig()
    append(0, 3)
    await clock.advance(599_000)
    expect(disk.text(FIRST)).not.toBe('')
    await clock.advance(2_000)
    expect(disk.files.has(FIRST)).toBe(false)
    append(3, 4)
    await clock.advance(300)
    expect(books.ranges).toBe('0-3')
    books.failure = new Error('away')
    append(4, 5)
    await clock.advance(601_000)
    expect(disk.files.size).toBe(2)
    expect(disk.openFiles).toBe(1)
  })

  it('are for their owner only, and none is left after a clean end', async () => {
    const folder = join(emptyFolder(), 'a', 'journal')
    const books = new Books()
    const journal = await openJournal({
      folder,
      sink: books.sink,
      log: memoryLog(),
      clock: systemClock,
      fsync: 'always',
    })
    const file = join(folder, 'calls-00000001.ndjson')
    await new Promise<void>((resolve) => journal.append(call(1), price('price_1'), resolve))
    expect(readFileSync(file, 'utf8')).toContain(call(1).id)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    journal.append(call(2), price('price_1'), () => {})
    await journal.close()
    expect(books.ranges).toBe('1-2')
    expect(readdirSync(folder)).toEqual([])
  })

  it('can not be opened where nothing can be written', async () => {
    const file = join(emptyFolder(), 'file')
    writeFileSync(file, '')
    const options = { sink: new Books().sink, log: memoryLog(), clock: systemClock, fsync: 'interval' as const }
    await expect(openJournal({ folder: join(file, 'journal'), ...options })).rejects.toThrow('ENOTDIR')
  })
})

describe('close', () => {
  it('leaves no timer and no open file, and keeps for the next start what the sink did not take', async () => {
    const first = await rig()
    first.books.failure = new Error('away')
    first.append(0, 700)
    await first.clock.advance(400)
    first.append(700, 710)
    const drained = first.journal.drained(60_000)
    const refused = expect(drained).rejects.toThrow('Journal was closed')
    const closing = first.journal.close(1_000)
    await first.clock.advance(1_000)
    await closing
    await refused
    expect(first.written.length).toBe(710)
    expect(first.clock.timers).toBe(0)
    expect(first.disk.openFiles).toBe(0)
    const second = await rig({ disk: first.disk })
    await second.clock.advance(300)
    expect(second.books.ranges).toBe('0-709')
  })

  it('does not wait longer than told for a sink that never answers', async () => {
    const { journal, append, clock, disk } = await rig({ sink: () => new Promise(() => {}) })
    append(0, 5)
    await clock.advance(300)
    const closing = journal.close(2_000)
    await clock.advance(2_000)
    await closing
    expect(disk.text(FIRST)).toContain(call(4).id)
  })
})
