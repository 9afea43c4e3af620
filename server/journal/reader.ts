import { Buffer } from 'node:buffer'
import type { Price } from '../../db/model/money.ts'
import type { Clock, Log } from '../deps.ts'
import type { Disk } from './disk.ts'
import { readJournalLine } from './line.ts'
import type { Block, Pending } from './pending.ts'
import type { Segment, Segments } from './segments.ts'

/** Read from a file at once: parsing its lines holds the event loop for about 1 ms. */
const CHUNK_BYTES = 256 * 1024
const BATCH_BYTES = 1024 * 1024
const OPENING = 0x5b
const COMMA = 0x2c
const CLOSING = 0x5d
const NEWLINE = 0x0a

/** What goes to the sink at once: the lines from position `from` to `end`. */
export interface Batch {
  callsJson: string
  readonly prices: readonly Price[]
  records: number
  /** Lines of `Pending.records` that are done with when this batch is. */
  readonly ownRecords: number
  readonly from: number
  readonly end: number
  readonly oldestMs: number | null
  readonly blocks: readonly Block[]
}

interface Lines {
  readonly records: string[]
  readonly prices: Price[]
  readonly refused: Record<string, unknown>[]
  own: number
  bytes: number
  oldestMs: number | null
}

/** Makes batches of what is pending: of memory by copying bytes, of the files by reading and checking each line. */
export class Reader {
  readonly #pending: Pending
  readonly #segments: Segments
  readonly #disk: Disk
  readonly #log: Log
  readonly #clock: Clock
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #scratch = Buffer.alloc(0)
  #chunk = Buffer.alloc(0)

  constructor(parts: { pending: Pending; segments: Segments; disk: Disk; log: Log; clock: Clock }) {
    this.#pending = parts.pending
    this.#segments = parts.segments
    this.#disk = parts.disk
    this.#log = parts.log
    this.#clock = parts.clock
  }

  /** The next lines, about `records` of them; null when nothing is pending. @throws when a file can't be read. */
  next(records: number): Batch | null | Promise<Batch> {
    const pending = this.#pending
    if (pending.next < pending.memoryBase) return this.#fromFiles(records)
    const blocks = pending.take(records)
    return blocks.length === 0 ? null : this.#fromBlocks(blocks)
  }

  #fromBlocks(blocks: readonly Block[]): Batch {
    const calls = blocks.filter((block) => block.price === null)
    const first = blocks[0]!
    const last = blocks[blocks.length - 1]!
    const records = calls.reduce((sum, block) => sum + block.records, 0)
    return {
      callsJson: this.#join(calls),
      prices: blocks.flatMap((block) => block.price ?? []),
      records,
      ownRecords: records,
      from: first.base,
      end: last.base + last.used,
      oldestMs: first.oldestMs,
      blocks,
    }
  }

  /** Lines as one JSON array: copied whole, every newline made a comma. 0.1 µs a record, and 0.5 for the string. */
  #join(blocks: readonly Block[]): string {
    if (blocks.length === 0) return '[]'
    const size = blocks.reduce((sum, block) => sum + block.used, 1)
    if (this.#scratch.length < size) this.#scratch = Buffer.allocUnsafeSlow(size)
    const text = this.#scratch
    text[0] = OPENING
    let end = 1
    for (const block of blocks) end += block.bytes.copy(text, end, 0, block.used)
    for (let at = text.indexOf(NEWLINE, 1); at !== -1 && at < end; at = text.indexOf(NEWLINE, at + 1)) text[at] = COMMA
    text[end - 1] = CLOSING
    return text.toString('latin1', 0, end)
  }

  async #fromFiles(wanted: number): Promise<Batch> {
    const pending = this.#pending
    const from = pending.next
    const lines: Lines = { records: [], prices: [], refused: [], own: 0, bytes: 0, oldestMs: null }
    let position = from
    while (position < pending.memoryBase && lines.records.length < wanted && lines.bytes < BATCH_BYTES) {
      try {
        position = await this.#readChunk(position, lines)
      } catch (error) {
        if (position === from) throw error
        break
      }
    }
    if (lines.refused.length > 0) await this.#segments.setAside(lines.refused, from, position)
    pending.next = position
    return {
      callsJson: `[${lines.records.join(',')}]`,
      prices: lines.prices,
      records: lines.records.length,
      ownRecords: lines.own,
      from,
      end: position,
      oldestMs: lines.oldestMs,
      blocks: [],
    }
  }

  /** Reads the whole lines from `position` on, in one file, and returns the position behind them. */
  async #readChunk(position: number, lines: Lines): Promise<number> {
    const pending = this.#pending
    const segment = this.#segments.at(position)
    // Nearly caught up with the writer: what it writes from now on stays in memory.
    if (pending.memoryBase - position <= CHUNK_BYTES) pending.spilling = false
    const stop = Math.min(segment.end, pending.memoryBase)
    for (let size = CHUNK_BYTES; ; size *= 2) {
      const length = Math.min(size, stop - position)
      if (this.#chunk.length < length) this.#chunk = Buffer.allocUnsafeSlow(length)
      const chunk = this.#chunk.subarray(0, length)
      const bytes = await this.#disk.read(segment.path, chunk, position - segment.base)
      const whole = chunk.subarray(0, bytes).lastIndexOf(NEWLINE) + 1
      if (whole > 0) {
        this.#readLines(chunk.subarray(0, whole), { segment, position, lines })
        if (size > CHUNK_BYTES) this.#chunk = Buffer.alloc(0)
        return position + whole
      }
      if (bytes < length || length === stop - position) {
        const fields = { file: segment.name, offset: position - segment.base, bytes: stop - position }
        this.#log.warn(
          'Journal dropped a line that was cut off at the end of a file: its call was never answered',
          fields,
        )
        return stop
      }
    }
  }

  #readLines(chunk: Buffer, at: { segment: Segment; position: number; lines: Lines }): void {
    const { segment, position, lines } = at
    let start = 0
    while (start < chunk.length) {
      const end = chunk.indexOf(NEWLINE, start)
      const bytes = chunk.subarray(start, end)
      let text: string | null = null
      try {
        text = this.#utf8.decode(bytes)
      } catch {
        // Not UTF-8: set aside below.
      }
      const line = text === null ? null : readJournalLine(text)
      if (line === null) {
        lines.refused.push({
          refusedAtMs: this.#clock.now(),
          reason: 'Damaged in the file',
          file: segment.name,
          offset: position - segment.base + start,
          ...(text === null ? { base64: bytes.toString('base64') } : { text }),
        })
        if (segment.own) lines.own++
      } else if (line.kind === 'price') {
        lines.prices.push(line.price)
      } else {
        lines.records.push(text!)
        lines.oldestMs ??= line.createdAtMs
        if (segment.own) lines.own++
      }
      start = end + 1
    }
    lines.bytes += chunk.length
  }

  /** Gives up on a file that can't be read: it is kept as `….damaged`, and the next batch begins behind it. */
  skip(error: unknown): Batch {
    const pending = this.#pending
    const from = pending.next
    const segment = this.#segments.at(from)
    segment.damaged = true
    this.#log.error('Journal can not read a file and keeps it as .damaged; its calls are missing in the database', {
      file: segment.name,
      offset: from - segment.base,
      error,
    })
    const end = Math.min(segment.end, pending.memoryBase)
    pending.next = end
    return { callsJson: '[]', prices: [], records: 0, ownRecords: 0, from, end, oldestMs: null, blocks: [] }
  }
}
