import type { Clock, Journal, Log } from './deps.ts'
import { type Disk, realDisk } from './journal/disk.ts'
import { Flusher, type Sink } from './journal/flusher.ts'
import { Pending } from './journal/pending.ts'
import { Reader } from './journal/reader.ts'
import { Segments } from './journal/segments.ts'
import { Writer } from './journal/writer.ts'

export type { Sink } from './journal/flusher.ts'
export { JournalFullError } from './journal/writer.ts'

export interface JournalOptions {
  /** Made when missing. One process at a time: whoever opens it holds a lock beside it. */
  readonly folder: string
  readonly sink: Sink
  readonly log: Log
  readonly clock: Clock
  /** `interval`: a power cut may cost the last `fsyncMs`; `always`: none, and an answer waits for the device. */
  readonly fsync: 'interval' | 'always'
  readonly fsyncMs?: number
  /** The longest that a record waits for others before it goes to the sink. */
  readonly flushMs?: number
  /** Records that go to the sink without waiting, and the most in one batch while there is a backlog. */
  readonly batch?: number
  readonly batchCap?: number
  /** A file is closed and the next begun beyond this size. */
  readonly segmentBytes?: number
  /** Text held in memory while the sink or the disk fails. */
  readonly memoryBytes?: number
  readonly disk?: Disk
}

/** For /health and metrics. */
export interface JournalStatus {
  /** Records of this process that aren't in the database. */
  readonly records: number
  /** Bytes that aren't in the database, those left by earlier processes included. */
  readonly bytes: number
  /** Age of the oldest record that isn't in the database, 0 when there is none. */
  readonly oldestMs: number
  /** The disk takes nothing or can't sync: calls go on, a crash would lose what is `unwrittenBytes`. */
  readonly degraded: boolean
  readonly fault: 'write' | 'sync' | null
  readonly unwrittenBytes: number
  readonly memoryBytes: number
  /** Tries in a row that the sink failed. */
  readonly sinkFailures: number
  /** Records that the sink refused, set aside in `refused.ndjson`. */
  readonly refused: number
  readonly segments: number
}

export interface OpenJournal extends Journal {
  /**
   * Writes all, hands to the sink what it takes within `withinMs` (5 s), syncs and closes; the rest is handed on at
   * the next start. append() throws from now on. Never rejects.
   */
  close(withinMs?: number): Promise<void>
  status(): JournalStatus
}

/**
 * The durable record of settled calls: a file first, the database when it can. It promises:
 *
 * - **append() costs a few µs** and touches no database. All that is appended in one turn of the event loop goes out
 *   in one write; only then is `written` called, with `fsync: 'always'` once it is on the device.
 * - **Nothing is lost**: what is written survives kill -9, and with fsync a power cut. Files are removed only when the
 *   sink has taken every record of theirs; what is left is handed on at the next start, in order. A line cut off at
 *   the end of a file is dropped and logged (its call was never answered); a damaged line, or a record that the sink
 *   refuses, is set aside in `refused.ndjson` and holds up nothing.
 * - **Nothing counts twice** as long as the sink inserts by request id: after a failure or a crash a batch may come
 *   again.
 * - **A failing sink** is tried again with a growing pause of up to 5 s, for ever. Beyond `memoryBytes` lines are only
 *   in the files and are read back later.
 * - **A failing disk** neither holds up nor loses a call: lines stay in memory and go to the sink from there; the
 *   write is tried again each second. status() says `degraded`. Beyond `memoryBytes` append() throws JournalFullError.
 *
 * Files are `calls-<sequence>.ndjson`: CallRecords, each price before the first record of the file that names it.
 * @throws the system's error when the folder can't be read or written.
 */
export async function openJournal(options: JournalOptions): Promise<OpenJournal> {
  const { folder, sink, log, clock, disk = realDisk, memoryBytes = 16 * 1024 * 1024 } = options
  const segments = await Segments.open(folder, disk, log)
  const pending = new Pending(segments.active.base, memoryBytes)
  const reader = new Reader({ pending, segments, disk, log, clock })
  const writer = new Writer({
    pending,
    segments,
    disk,
    log,
    clock,
    written: () => flusher.poke(),
    fsync: options.fsync,
    fsyncMs: options.fsyncMs ?? 200,
    segmentBytes: options.segmentBytes ?? 16 * 1024 * 1024,
    memoryBytes,
  })
  const flusher = new Flusher({
    pending,
    segments,
    reader,
    sink,
    confirm: (batch) => writer.confirm(batch),
    log,
    clock,
    flushMs: options.flushMs ?? 250,
    batch: options.batch ?? 500,
    batchCap: options.batchCap ?? 2_000,
  })
  let closing: Promise<void> | null = null
  async function close(withinMs: number): Promise<void> {
    writer.refuseMore()
    writer.flush()
    await flusher.drained(withinMs).catch(() => {})
    flusher.stop()
    await writer.close()
    await segments.close(pending.confirmed)
  }
  if (pending.confirmed < pending.appended) {
    log.info('Journal hands on what an earlier run left', { bytes: pending.appended, files: segments.count - 1 })
    flusher.poke()
  }
  return {
    append: (record, price, written) => writer.append(record, price, written),
    drained: (withinMs) => flusher.drained(withinMs),
    close: (withinMs = 5_000) => {
      closing ??= close(withinMs)
      return closing
    },
    status() {
      const bytes = pending.appended - pending.confirmed
      const oldest = flusher.oldestMs
      return {
        records: pending.records,
        bytes,
        oldestMs: bytes === 0 || oldest === null ? 0 : Math.max(0, clock.now() - oldest),
        degraded: writer.fault !== null,
        fault: writer.fault,
        unwrittenBytes: pending.appended - pending.written,
        memoryBytes: pending.memoryBytes,
        sinkFailures: flusher.failures,
        refused: flusher.refused,
        segments: segments.count,
      }
    },
  }
}
