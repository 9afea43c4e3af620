import { describe, expect, it } from 'vitest'
import { JournalFullError, type OpenJournal, openJournal } from '../../server/journal.ts'
import { Random } from '../helpers/random.ts'
import { Books, call, FakeDisk, HandClock, memoryLog, price, turns } from './kit.ts'

/** A journal under random faults, and what it has promised so far. */
class World {
  readonly books = new Books()
  readonly promised = new Set<number>()
  disk = new FakeDisk()
  clock = new HandClock()
  journal!: OpenJournal
  next = 0
  #life = 0
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  async start(): Promise<void> {
    const life = ++this.#life
    const { books } = this
    this.journal = await openJournal({
      folder: '/j',
      // What a killed process still had under way may reach the database or not.
      sink: (batch) => (life === this.#life || this.#random.once(2) ? books.sink(batch) : new Promise(() => {})),
      log: memoryLog(),
      clock: this.clock,
      fsync: this.#random.pick(['interval', 'always']),
      segmentBytes: this.#random.pick([3_000, 20_000, 1_000_000]),
      memoryBytes: this.#random.pick([8_000, 40_000, 1_000_000]),
      batch: this.#random.pick([3, 50]),
      batchCap: this.#random.pick([50, 200]),
      disk: this.disk,
    })
  }

  append(count: number): void {
    const { journal, disk } = this
    for (let i = 0; i < count; i++) {
      const n = this.next
      const id = this.#random.pick(['price_1', 'price_2', 'price_3'])
      const metadata = this.#random.once(20) ? 'x'.repeat(this.#random.int(5_000)) : null
      try {
        journal.append(call(n, { priceId: id, metadata }), price(id), () => {
          // Only what is in the file outlives a crash.
          if (journal.status().unwrittenBytes === 0 && disk === this.disk) this.promised.add(n)
        })
        this.next++
      } catch (error) {
        if (!(error instanceof JournalFullError)) throw error
        return
      }
    }
  }

  /** The process is gone between two instructions, what it wrote remains. */
  async crash(): Promise<void> {
    this.disk = this.disk.afterCrash()
    this.clock = new HandClock()
    await this.start()
  }
}

describe('Under random faults of disk, database and process', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'nothing promised is lost and nothing comes out of order within a life (seed %i)',
    async (seed) => {
      const random = new Random(seed)
      const world = new World(random)
      await world.start()
      for (let step = 0; step < 150; step++) {
        const { disk, books } = world
        const what = random.int(20)
        if (what < 9) world.append(1 + random.int(random.once(8) ? 300 : 12))
        else if (what < 11) await turns(1 + random.int(3))
        else if (what < 15) await world.clock.advance(random.pick([10, 100, 300, 2_000]))
        else if (what === 15) books.failure = random.once(2) ? null : new Error('away')
        else if (what === 16) disk.free = random.once(2) ? Number.POSITIVE_INFINITY : random.int(5_000)
        else if (what === 17) disk.failSync = random.once(2)
        else if (what === 18) disk.failCreate = random.once(2)
        else if (random.once(3)) await world.crash()
      }
      const { journal, disk, books, clock } = world
      books.failure = null
      disk.free = Number.POSITIVE_INFINITY
      disk.failSync = false
      disk.failCreate = false
      for (let i = 0; i < 50 && journal.status().bytes > 0; i++) await clock.advance(1_000)
      const lost = [...world.promised].filter((n) => !books.calls.has(call(n).id))
      expect(lost).toEqual([])
      expect(journal.status()).toMatchObject({ records: 0, bytes: 0, refused: 0 })
      expect(disk.text('/j/refused.ndjson')).toBe('')
      for (const [id, record] of books.calls)
        expect(record).toMatchObject({ id, usage: { input: Number(id.slice(4)) } })
      const used = [...books.calls.values()].map(({ priceId }) => priceId)
      for (const id of used) expect(books.prices).toContain(id)
      const closing = journal.close()
      await clock.advance(0)
      await closing
      expect([...disk.files.keys()]).toEqual([])
      expect(disk.openFiles).toBe(0)
      expect(clock.timers).toBe(0)
    },
  )
})
