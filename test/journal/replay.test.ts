import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { priceLine, recordLine } from '../../server/journal/line.ts'
import type { Sink } from '../../server/journal.ts'
import { Books, call, FakeDisk, price, type Rig, rig, until } from './kit.ts'

const FILE = '/j/calls-00000001.ndjson'
const REFUSED = '/j/refused.ndjson'

function fileOf(from: number, to: number): string {
  return priceLine(price('price_1')) + Array.from({ length: to - from }, (_, i) => recordLine(call(from + i))).join('')
}

async function started(files: Record<string, string | Buffer>): Promise<Rig> {
  const disk = new FakeDisk()
  for (const [path, content] of Object.entries(files)) disk.put(path, Buffer.from(content))
  const started = await rig({ disk })
  await started.clock.advance(0)
  return started
}

describe('A line damaged on the disk while it waits', () => {
  it('is set aside, and the count of what waits stays right', async () => {
    const books = new Books()
    books.failure = new Error('away')
    const last = call(999).id
    const sink: Sink = (batch) => (batch.callsJson.includes(last) ? new Promise(() => {}) : books.sink(batch))
    const { disk, append, clock, journal } = await rig({ sink, memoryBytes: 2_000, batch: 10, batchCap: 10 })
    append(0, 1_000)
    await clock.advance(50)
    expect(journal.status()).toMatchObject({ records: 1_000, memoryBytes: 0 })
    disk.files.get(FILE)!.bytes.write('\0', disk.text(FILE).indexOf(call(400).id))
    books.failure = null
    await clock.advance(100)
    await until(() => books.numbers.length > 500)
    expect(books.ranges).toMatch(/^0-399 401-\d+$/)
    expect(journal.status().records).toBe(1_000 - books.numbers.length - 1)
    expect(disk.text(REFUSED)).toContain('"offset"')
  })
})

describe('At the start', () => {
  it('the files of earlier runs are handed on in order, before what is appended now, and removed', async () => {
    const disk = new FakeDisk()
    disk.put('/j/calls-00000012.ndjson', Buffer.from(fileOf(710, 3_000)))
    disk.put('/j/calls-9.ndjson', Buffer.from(fileOf(0, 700)))
    disk.put('/j/calls-10.ndjson', Buffer.from(fileOf(700, 710)))
    disk.put('/j/calls-00000011.ndjson', Buffer.alloc(0))
    disk.put('/j/notes.txt', Buffer.from('mine'))
    const { books, append, clock, journal, log } = await rig({ disk })
    append(3_000, 3_010)
    await expect(drain(journal, clock)).resolves.toBe('drained')
    expect(books.ranges).toBe('0-3009')
    expect(books.prices).toEqual(['price_1'])
    expect(books.repeated).toBe(0)
    expect([...disk.files.keys()].sort()).toEqual(['/j/calls-00000013.ndjson', '/j/notes.txt'])
    expect(log.count('info', 'earlier run')).toBe(1)
  })

  it('a file cut anywhere in its last two lines gives exactly its whole lines', async () => {
    // By hand, as an older version or an editor would leave it: raw UTF-8, so that cuts fall inside characters.
    const raw = `${JSON.stringify(call(3, { metadata: '{"città":"日本 🙂"}' }))}\n`
    const whole = Buffer.from(fileOf(0, 2) + recordLine(call(2)) + raw)
    const lastTwo = Buffer.byteLength(recordLine(call(2)) + raw)
    const newlines = [...whole.keys()].filter((at) => whole[at] === 0x0a)
    for (let length = whole.length - lastTwo; length <= whole.length; length++) {
      const { books, journal, log } = await started({ [FILE]: whole.subarray(0, length) })
      const lines = newlines.filter((at) => at < length).length
      expect(books.ranges, `cut at ${length}`).toBe(`0-${lines - 2}`)
      expect(log.count('warn', 'cut off')).toBe(whole[length - 1] === 0x0a ? 0 : 1)
      expect(journal.status().bytes).toBe(0)
    }
    const { books } = await started({ [FILE]: whole })
    expect(books.calls.get(call(3).id)?.metadata).toBe('{"città":"日本 🙂"}')
  })

  it('a tail of zeros, as a power cut leaves it, is dropped and said', async () => {
    for (const zeros of [1, 5_000, 600_000]) {
      const tail = Buffer.concat([Buffer.from(recordLine(call(9)).slice(0, 100)), Buffer.alloc(zeros)])
      const { books, log, disk } = await started({ [FILE]: Buffer.concat([Buffer.from(fileOf(0, 9)), tail]) })
      expect(books.ranges).toBe('0-8')
      expect(log.count('warn', 'cut off')).toBe(1)
      expect(disk.files.has(FILE)).toBe(false)
      expect(disk.files.has(REFUSED)).toBe(false)
    }
  })

  it('a damaged line in the middle is set aside with its place, and holds up nothing', async () => {
    const good = fileOf(0, 3)
    const damaged = [
      Buffer.from('{"id":"req_torn","createdAtMs":1\n'),
      Buffer.from('\0\0\0\0\n'),
      Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a]),
      Buffer.from('{"price":{}}\n'),
      Buffer.from('\n'),
    ]
    const file = Buffer.concat([Buffer.from(good), ...damaged, Buffer.from(recordLine(call(3)))])
    const { books, disk, log } = await started({ [FILE]: file })
    expect(books.ranges).toBe('0-3')
    const aside = disk
      .text(REFUSED)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(aside.map(({ offset }) => offset)).toEqual([0, 33, 38, 43, 56].map((more) => good.length + more))
    expect(aside[0]).toMatchObject({ file: 'calls-00000001.ndjson', text: '{"id":"req_torn","createdAtMs":1' })
    expect(aside[2]).toMatchObject({ base64: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]).toString('base64') })
    expect(log.count('error', 'set 5 lines aside')).toBe(1)
    expect(disk.files.has(FILE)).toBe(false)
  })

  it('a file with a damaged line is kept when the line can not be set aside', async () => {
    const disk = new FakeDisk()
    disk.put(FILE, Buffer.from(`${fileOf(0, 2)}garbage\n${recordLine(call(2))}`))
    disk.failAppend = true
    const { books, clock } = await rig({ disk })
    await clock.advance(0)
    expect(books.ranges).toBe('0-2')
    expect(disk.text(`${FILE}.damaged`)).toContain('garbage')
  })

  it('a file that can not be read is tried again, then kept as it is, and the next ones are handed on', async () => {
    const disk = new FakeDisk()
    disk.put(FILE, Buffer.from(fileOf(0, 2)))
    disk.put('/j/calls-00000002.ndjson', Buffer.from(fileOf(2, 4)))
    disk.failRead = /00001/
    const { books, clock, log, journal } = await rig({ disk })
    await clock.advance(300)
    expect(books.ranges).toBe('')
    await clock.advance(10_000)
    expect(books.ranges).toBe('2-3')
    expect(log.count('error', 'can not read')).toBe(1)
    expect(disk.files.has(`${FILE}.damaged`)).toBe(true)
    expect(journal.status().bytes).toBe(0)
  })

  it('a file that could not be read for a moment is read whole, nothing twice', async () => {
    const disk = new FakeDisk()
    disk.put(FILE, Buffer.from(fileOf(0, 3_000)))
    disk.failRead = /00001/
    const { books, clock } = await rig({ disk })
    await clock.advance(250)
    disk.failRead = null
    await clock.advance(1_000)
    await until(() => books.numbers.length >= 3_000)
    expect(books.ranges).toBe('0-2999')
    expect(books.repeated).toBe(0)
  })

  it('a file that was confirmed but not removed comes again, which the database ignores', async () => {
    const { disk, books, clock, append } = await rig()
    append(0, 4)
    await clock.advance(300)
    expect(books.ranges).toBe('0-3')
    const second = await rig({ disk: disk.afterCrash(), books })
    await second.clock.advance(300)
    expect(books.ranges).toBe('0-3')
    expect(books.repeated).toBe(4)
  })
})

async function drain(journal: Rig['journal'], clock: Rig['clock']): Promise<string> {
  const drained = journal.drained(5_000).then(
    () => 'drained',
    (error: Error) => error.message,
  )
  await clock.advance(400)
  return drained
}
