import { Buffer } from 'node:buffer'
import type { Price } from '../../db/model/money.ts'

/** A block holds the lines of at most this many bytes or records; one that is longer has a block to itself. */
const BLOCK_BYTES = 256 * 1024
const BLOCK_RECORDS = 500
const SPARE_BLOCKS = 8

/** Lines in memory as they are, or will be, in the file: whole ones, either records or one price. */
export interface Block {
  readonly bytes: Buffer
  readonly price: Price | null
  /** Position of its first byte in the stream of all files. */
  readonly base: number
  readonly oldestMs: number
  used: number
  /** How much of it is in the file. */
  written: number
  records: number
}

/**
 * Everything that was appended and isn't yet in the database, in order: first what is only in the files, from
 * position `next` to `memoryBase`, then the blocks in memory. Nothing here waits or fails.
 */
export class Pending {
  /** What will be handed on next; what is before it is under way or done. */
  next: number
  appended: number
  written: number
  confirmed = 0
  /** Set while memory is full: lines are dropped once they are in the file, until the reader catches up. */
  spilling = false
  /** Records appended by this process that aren't confirmed. */
  records = 0
  readonly #memoryBytes: number
  readonly #blocks: Block[] = []
  /** Blocks with bytes that aren't in the file, oldest first; a few of them may have been handed on already. */
  readonly #unwritten: Block[] = []
  readonly #spare: Buffer[] = []
  #current: Block | null = null

  constructor(startPosition: number, memoryBytes: number) {
    this.next = 0
    this.appended = startPosition
    this.written = startPosition
    this.#memoryBytes = memoryBytes
  }

  get memoryBase(): number {
    return this.#blocks[0]?.base ?? this.appended
  }

  get memoryBytes(): number {
    return this.appended - this.memoryBase
  }

  get unwritten(): readonly Block[] {
    return this.#unwritten
  }

  get first(): Block | undefined {
    return this.#blocks[0]
  }

  /** Records in memory that nobody has taken, counted no further than needed. */
  hasRecords(count: number): boolean {
    let records = 0
    for (const block of this.#blocks) {
      records += block.records
      if (records >= count) return true
    }
    return false
  }

  addPrice(price: Price, line: string, nowMs: number): void {
    const block = this.#push(Buffer.allocUnsafeSlow(line.length), price, nowMs)
    this.#write(block, line)
    this.#current = null
  }

  /** @param line ASCII, with its newline. */
  addRecord(line: string, createdAtMs: number): void {
    let block = this.#current
    if (block === null || block.used + line.length > block.bytes.length || block.records >= BLOCK_RECORDS) {
      block = this.#push(this.#space(line.length), null, createdAtMs)
      this.#current = block
    } else if (block.written === block.used) {
      this.#unwritten.push(block)
    }
    this.#write(block, line)
    block.records++
    this.records++
  }

  #space(bytes: number): Buffer {
    if (bytes > BLOCK_BYTES) return Buffer.allocUnsafeSlow(bytes)
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
  }

  #push(bytes: Buffer, price: Price | null, oldestMs: number): Block {
    const block: Block = { bytes, price, base: this.appended, oldestMs, used: 0, written: 0, records: 0 }
    this.#blocks.push(block)
    this.#unwritten.push(block)
    return block
  }

  #write(block: Block, line: string): void {
    block.bytes.write(line, block.used, 'latin1')
    block.used += line.length
    this.appended += line.length
  }

  /** What comes next goes into a new block, because it belongs to a new file. */
  seal(): void {
    this.#current = null
  }

  /** The oldest unwritten block is in the file. */
  wrote(): void {
    const block = this.#unwritten.shift()!
    this.written = block.base + block.used
  }

  /** Frees memory where there is too little: what is in the file can be read from there. */
  spill(): void {
    if (this.memoryBytes > this.#memoryBytes) this.spilling = true
    if (!this.spilling) return
    let dropped = 0
    for (const block of this.#blocks) {
      if (block.written < block.used) break
      if (block === this.#current) this.#current = null
      this.recycle(block)
      dropped++
    }
    this.#blocks.splice(0, dropped)
  }

  /** The oldest blocks in memory, up to `records` records; `next` moves behind them. */
  take(records: number): Block[] {
    let count = 0
    let length = 0
    while (length < this.#blocks.length && count < records) count += this.#blocks[length++]!.records
    const taken = this.#blocks.splice(0, length)
    this.spilling = false
    if (taken.includes(this.#current!)) this.#current = null
    const last = taken.at(-1)
    if (last !== undefined) this.next = last.base + last.used
    return taken
  }

  /**
   * A block in the database that isn't in the file need not go there any more.
   * @returns false when it is in the file.
   */
  forget(block: Block): boolean {
    if (this.#unwritten[0] !== block) return false
    this.wrote()
    return true
  }

  /** Takes back the memory of a block that nobody will read again. */
  recycle(block: Block): void {
    if (block.bytes.length === BLOCK_BYTES && this.#spare.length < SPARE_BLOCKS) this.#spare.push(block.bytes)
  }
}
