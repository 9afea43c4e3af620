import type { CallRecord } from '../../db/model/calls.ts'
import type { Price } from '../../db/model/money.ts'
import type { Clock, Log, Timer } from '../deps.ts'
import type { Disk } from './disk.ts'
import { priceLine, recordLine } from './line.ts'
import type { Pending } from './pending.ts'
import type { Batch } from './reader.ts'
import type { Segments } from './segments.ts'

/** Written before the tick ends when one tick appends more than this. */
const TICK_BYTES = 1024 * 1024
const WRITE_RETRY_MS = 1_000
/** A file is replaced after this time, so that what is long confirmed doesn't come again after a crash. */
const ROTATE_MS = 600_000

/** Thrown by append() when the disk takes nothing and memory is full: the call was not recorded, refuse with 503. */
export class JournalFullError extends Error {
  constructor() {
    super('Journal can not be written and its memory is full; free disk space')
    this.name = 'JournalFullError'
  }
}

/** Brings lines into the file: all of one tick in one write, by the event loop's end of the tick. */
export class Writer {
  readonly #pending: Pending
  readonly #segments: Segments
  readonly #disk: Disk
  readonly #log: Log
  readonly #clock: Clock
  readonly #written: () => void
  readonly #always: boolean
  readonly #fsyncMs: number
  readonly #segmentBytes: number
  readonly #memoryBytes: number
  #callbacks: (() => void)[] = []
  #unsynced: (() => void)[] = []
  #tick: ReturnType<typeof setImmediate> | null = null
  #syncTimer: Timer | null = null
  #retryTimer: Timer | null = null
  #rotateTimer: Timer | null = null
  #syncing: Promise<void> | null = null
  #rotateNotBefore = 0
  #closed = false
  /** What is wrong with the disk, null when nothing is. */
  fault: 'write' | 'sync' | null = null

  constructor(parts: {
    pending: Pending
    segments: Segments
    disk: Disk
    log: Log
    clock: Clock
    /** Called at the end of a tick that appended. */
    written: () => void
    fsync: 'interval' | 'always'
    fsyncMs: number
    segmentBytes: number
    memoryBytes: number
  }) {
    this.#pending = parts.pending
    this.#segments = parts.segments
    this.#disk = parts.disk
    this.#log = parts.log
    this.#clock = parts.clock
    this.#written = parts.written
    this.#always = parts.fsync === 'always'
    this.#fsyncMs = parts.fsyncMs
    this.#segmentBytes = parts.segmentBytes
    this.#memoryBytes = parts.memoryBytes
  }

  append(record: CallRecord, price: Price | null, written: () => void): void {
    if (this.#closed) throw new Error('Journal is closed; nothing can be appended')
    const line = recordLine(record)
    this.#makeRoom(line.length)
    const { priced } = this.#segments.active
    if (price !== null && !priced.has(price.id)) {
      this.#pending.addPrice(price, priceLine(price), this.#clock.now())
      priced.add(price.id)
    }
    this.#pending.addRecord(line, record.createdAtMs)
    this.#callbacks.push(written)
    // After the events that are ready now: their calls share one write.
    this.#tick ??= setImmediate(() => this.#commit())
  }

  #makeRoom(bytes: number): void {
    const needed = this.#pending.appended - this.#pending.written + bytes
    if (needed <= TICK_BYTES && needed <= this.#memoryBytes) return
    if (this.fault !== 'write') this.#write()
    const unwritten = this.#pending.appended - this.#pending.written
    if (unwritten > 0 && unwritten + bytes > this.#memoryBytes) throw new JournalFullError()
  }

  #commit(): void {
    this.#tick = null
    if (this.#retryTimer === null) this.#write()
    const callbacks = this.#callbacks
    this.#callbacks = []
    if (this.#always && this.fault !== 'write') {
      for (const each of callbacks) this.#unsynced.push(each)
      this.#sync()
    } else {
      this.#call(callbacks)
    }
    this.#written()
  }

  #call(callbacks: readonly (() => void)[]): void {
    for (const each of callbacks) {
      try {
        each()
      } catch (error) {
        this.#log.error('Journal: a callback threw, which is a bug', { error })
      }
    }
  }

  /** Writes all that isn't in the file. A failure leaves it where it is and is tried again later. */
  #write(): void {
    const pending = this.#pending
    const { active } = this.#segments
    const before = pending.written
    try {
      for (let block = pending.unwritten[0]; block !== undefined; block = pending.unwritten[0]) {
        while (block.written < block.used) {
          const at = block.base + block.written - active.base
          const taken = this.#disk.write(active.file!, block.bytes, block.written, block.used - block.written, at)
          if (taken === 0) throw new Error('The disk took nothing')
          block.written += taken
        }
        pending.wrote()
        active.end = pending.written
        active.dirty = true
      }
    } catch (error) {
      this.#fail('write', error)
      this.#retryTimer ??= this.#clock.timer(WRITE_RETRY_MS, () => {
        this.#retryTimer = null
        this.#write()
      })
    }
    if (pending.unwritten.length === 0 && pending.written > before) {
      this.#recover('write')
      if (active.end - active.base >= this.#segmentBytes) this.#rotate()
    }
    pending.spill()
    if (this.#segments.isDirty && !this.#always) this.#armSync()
    if (active.end > active.base && !this.#closed)
      this.#rotateTimer ??= this.#clock.timer(ROTATE_MS, () => this.#rotate())
  }

  #rotate(): void {
    this.#rotateTimer?.cancel()
    this.#rotateTimer = null
    // Where it can't be done now, the next write comes back here: by size, or by the timer that it sets.
    if (this.#pending.unwritten.length > 0 || this.#clock.monotonic() < this.#rotateNotBefore) return
    if (!this.#segments.rotate()) {
      this.#rotateNotBefore = this.#clock.monotonic() + WRITE_RETRY_MS
      return
    }
    this.#pending.seal()
    this.#segments.confirm(this.#pending.confirmed)
  }

  #fail(fault: 'write' | 'sync', error: unknown): void {
    if (this.fault === null) {
      const what = fault === 'write' ? 'write; calls go on and are kept in memory' : 'sync its file; calls go on'
      this.#log.error(`Journal can not ${what}; look at the disk`, { error })
    }
    if (this.fault !== 'write') this.fault = fault
  }

  #recover(fault: 'write' | 'sync'): void {
    if (this.fault !== fault) return
    this.fault = null
    this.#log.info(`Journal can ${fault} again`)
  }

  #armSync(): void {
    this.#syncTimer ??= this.#clock.timer(this.#fsyncMs, () => this.#sync())
  }

  /** One sync at a time; what is written meanwhile waits for the next. */
  #sync(): void {
    this.#syncTimer?.cancel()
    this.#syncTimer = null
    this.#syncing ??= this.#syncLoop()
  }

  async #syncLoop(): Promise<void> {
    do {
      const callbacks = this.#unsynced
      this.#unsynced = []
      try {
        await this.#segments.sync()
        this.#recover('sync')
      } catch (error) {
        this.#fail('sync', error)
      }
      this.#call(callbacks)
    } while (this.#unsynced.length > 0)
    this.#syncing = null
    if (this.#segments.isDirty && !this.#closed) this.#armSync()
  }

  /** The batch is in the database: its memory, its files and what of it was still to be written can go. */
  confirm(batch: Batch): void {
    const pending = this.#pending
    const { active } = this.#segments
    for (const block of batch.blocks) {
      if (pending.forget(block)) {
        // A torn line may stand at its place; what comes next is written over it.
        if (block.written > 0) this.#truncate(active.file!, block.base - active.base)
        active.base += block.used
        active.end = pending.written
      }
      pending.recycle(block)
    }
    pending.confirmed = batch.end
    pending.records = batch.end === pending.appended ? 0 : pending.records - batch.ownRecords
    this.#segments.confirm(batch.end)
  }

  #truncate(file: number, length: number): void {
    try {
      this.#disk.truncate(file, length)
    } catch (error) {
      this.#log.warn('Journal could not cut a torn line off its file', { error })
    }
  }

  /** Writes what this tick appended now, with its callbacks. */
  flush(): void {
    if (this.#tick !== null) {
      clearImmediate(this.#tick)
      this.#commit()
    }
  }

  refuseMore(): void {
    this.#closed = true
  }

  /** Writes and syncs what it can and stops all timers. Never rejects. */
  async close(): Promise<void> {
    if (this.#pending.unwritten.length > 0) this.#write()
    for (const timer of [this.#syncTimer, this.#retryTimer, this.#rotateTimer]) timer?.cancel()
    this.#syncTimer = this.#retryTimer = this.#rotateTimer = null
    if (this.#pending.unwritten.length > 0) {
      this.#log.error('Journal closes without having written all; these calls are lost', {
        bytes: this.#pending.appended - this.#pending.written,
      })
    }
    await this.#syncing
    if (this.#segments.isDirty) this.#sync()
    await this.#syncing
  }
}
