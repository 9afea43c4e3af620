import type { Price } from '../../db/model/money.ts'
import type { Clock, Log, Timer } from '../deps.ts'
import type { Pending } from './pending.ts'
import type { Batch, Reader } from './reader.ts'
import type { Segments } from './segments.ts'

const RETRY_FIRST_MS = 100
const RETRY_CAP_MS = 5_000
/** The longest wait between tries while somebody waits for the outcome. */
const RETRY_WATCHED_MS = 500
const READ_TRIES = 5

/**
 * Where records go. `callsJson` is a JSON array of CallRecord, possibly empty; `prices` are those of which the file
 * tells first here: whatever a record names is in this batch or in an earlier one that was taken. A batch may come
 * again, whole or in part, after a failure or a restart: inserting by request id must make that harmless. It must
 * settle, with a timeout of its own.
 * @throws {unknown} anything: the batch comes again. An error with `refused: string[]`, ids of this batch that can
 *   never be stored: these are set aside in `refused.ndjson` and the rest comes again without them.
 */
export type Sink = (batch: { readonly callsJson: string; readonly prices: readonly Price[] }) => Promise<void>

interface Waiter {
  readonly position: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly timer: Timer
}

function refusedIds(error: unknown): ReadonlySet<string> {
  const ids = typeof error === 'object' && error !== null && 'refused' in error ? error.refused : null
  return new Set(Array.isArray(ids) ? ids : [])
}

/** Moves what is pending into the sink, in order, one batch at a time, and keeps trying. */
export class Flusher {
  readonly #pending: Pending
  readonly #segments: Segments
  readonly #reader: Reader
  readonly #sink: Sink
  readonly #confirm: (batch: Batch) => void
  readonly #log: Log
  readonly #clock: Clock
  readonly #flushMs: number
  readonly #batchRecords: number
  readonly #batchCap: number
  #batch: Batch | null = null
  #run: Promise<void> | null = null
  #timer: Timer | null = null
  #waiters: Waiter[] = []
  #stopped = false
  #failedAt = 0
  #readFailures = 0
  /** Tries of the batch under way that failed. */
  failures = 0
  /** Records set aside because the sink refused them. */
  refused = 0

  constructor(parts: {
    pending: Pending
    segments: Segments
    reader: Reader
    sink: Sink
    confirm: (batch: Batch) => void
    log: Log
    clock: Clock
    flushMs: number
    batch: number
    batchCap: number
  }) {
    this.#pending = parts.pending
    this.#segments = parts.segments
    this.#reader = parts.reader
    this.#sink = parts.sink
    this.#confirm = parts.confirm
    this.#log = parts.log
    this.#clock = parts.clock
    this.#flushMs = parts.flushMs
    this.#batchRecords = parts.batch
    this.#batchCap = parts.batchCap
  }

  /** Epoch milliseconds of the oldest record that isn't in the database, null when there is none or it isn't known. */
  get oldestMs(): number | null {
    return this.#batch?.oldestMs ?? this.#pending.first?.oldestMs ?? null
  }

  /** Something was appended: it goes out within `flushMs`, or at once when it fills a batch. */
  poke(): void {
    if (this.#run !== null || this.#stopped || this.failures > 0 || this.#readFailures > 0) return
    if (this.#pending.next < this.#pending.memoryBase || this.#pending.hasRecords(this.#batchRecords)) this.#start()
    else if (this.#timer === null) this.#arm(this.#flushMs)
  }

  #arm(afterMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.timer(afterMs, () => this.#start())
  }

  #start(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#run !== null || this.#stopped) return
    this.#run = this.#flush().finally(() => {
      this.#run = null
      if (this.#stopped) return
      const failures = Math.max(this.failures, this.#readFailures)
      if (failures > 0) {
        const delayMs = Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10))
        this.#arm(this.#waiters.length > 0 ? Math.min(delayMs, RETRY_WATCHED_MS) : delayMs)
      } else if (this.#pending.confirmed < this.#pending.appended) {
        if (this.#waiters.length > 0) this.#start()
        else this.poke()
      }
    })
  }

  /** Batch after batch until too little is left for one, or one fails. */
  async #flush(): Promise<void> {
    do {
      this.#batch ??= await this.#next()
      const batch = this.#batch
      if (batch === null || this.#stopped || !(await this.#send(batch)) || this.#stopped) return
      this.#batch = null
      this.#confirm(batch)
      this.#wake()
    } while (
      this.#waiters.length > 0 ||
      this.#pending.next < this.#pending.memoryBase ||
      this.#pending.hasRecords(this.#batchRecords)
    )
  }

  async #next(): Promise<Batch | null> {
    try {
      const batch = await this.#reader.next(this.#batchCap)
      this.#readFailures = 0
      return batch
    } catch (error) {
      this.#failedAt = this.#clock.monotonic()
      if (++this.#readFailures === 1) this.#log.warn('Journal could not read a file and will try again', { error })
      if (this.#readFailures < READ_TRIES) return null
      this.#readFailures = 0
      return this.#reader.skip(error)
    }
  }

  /** @returns whether the batch is done with. */
  async #send(batch: Batch): Promise<boolean> {
    while (batch.records > 0 || batch.prices.length > 0) {
      try {
        await this.#sink({ callsJson: batch.callsJson, prices: batch.prices })
        break
      } catch (error) {
        if (!this.#stopped && (await this.#setAside(batch, error))) continue
        this.#failedAt = this.#clock.monotonic()
        if (++this.failures === 1) {
          this.#log.warn('Journal could not store calls and keeps them until it can', { records: batch.records, error })
        }
        return false
      }
    }
    if (this.failures > 0) this.#log.info('Journal stores calls again', { failures: this.failures })
    this.failures = 0
    return true
  }

  /** Takes the refused records out of the batch. @returns false when the error names none of them. */
  async #setAside(batch: Batch, error: unknown): Promise<boolean> {
    const ids = refusedIds(error)
    if (ids.size === 0) return false
    const calls: { id: string }[] = JSON.parse(batch.callsJson)
    const refused = calls.filter((call) => ids.has(call.id))
    if (refused.length === 0) return false
    const refusedAtMs = this.#clock.now()
    const reason = error instanceof Error ? error.message : String(error)
    const lines = refused.map((record) => ({ refusedAtMs, reason, record }))
    await this.#segments.setAside(lines, batch.from, batch.end)
    const rest = calls.filter((call) => !ids.has(call.id))
    batch.callsJson = JSON.stringify(rest)
    batch.records = rest.length
    this.refused += refused.length
    return true
  }

  #wake(): void {
    const { confirmed } = this.#pending
    const done = this.#waiters.filter((waiter) => waiter.position <= confirmed)
    if (done.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => waiter.position > confirmed)
    for (const waiter of done) {
      waiter.timer.cancel()
      waiter.resolve()
    }
  }

  /** See Journal.drained. */
  drained(withinMs: number): Promise<void> {
    const position = this.#pending.appended
    if (this.#pending.confirmed >= position) return Promise.resolve()
    if (this.#stopped) return Promise.reject(new Error('Journal is closed'))
    return new Promise((resolve, reject) => {
      const timer = this.#clock.timer(withinMs, () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter.timer !== timer)
        reject(new Error(`Journal did not reach the database within ${withinMs} ms; look at its status and try again`))
      })
      this.#waiters.push({ position, resolve, reject, timer })
      // However many ask, a database that is down is asked at most every RETRY_FIRST_MS.
      const restMs = this.#failedAt + RETRY_FIRST_MS - this.#clock.monotonic()
      if (this.failures + this.#readFailures > 0 && restMs > 0) this.#arm(restMs)
      else this.#start()
    })
  }

  /** Stops for good: a batch under way is no longer waited for, and who waits is told. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
    for (const waiter of this.#waiters.splice(0)) {
      waiter.timer.cancel()
      waiter.reject(new Error('Journal was closed before all of it reached the database'))
    }
  }
}
