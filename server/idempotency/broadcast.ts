import type { Ending } from '../call.ts'
import type { Sink } from '../http.ts'

/** More of one answer isn't kept: who comes later can't have it, and who reads slower than that is cut off. */
export const KEPT_BYTES = 8 * 1024 * 1024
/** The same for all answers that this process holds. */
const ALL_KEPT_BYTES = 256 * 1024 * 1024

/** Bytes of answers that this process holds. */
export interface Holding {
  bytes: number
}

interface Follower {
  readonly sink: Sink
  /** Number of the next chunk that it gets. */
  next: number
  isWaiting: boolean
}

/**
 * One stream for several callers, each from its first byte on and as fast as it reads. While the answer is kept whole
 * nobody's reading holds it up; beyond KEPT_BYTES the first of them sets the pace, and the others must keep up.
 */
export class Broadcast implements Sink {
  /** Null: what is held here doesn't count any more. */
  #holding: Holding | null
  /** How it ended at its source: known before its last bytes come. */
  readonly #endingOf: () => Ending | null
  #chunks: Uint8Array[] = []
  /** Number of the first chunk that is still here. */
  #from = 0
  #bytes = 0
  #isWhole = true
  #end: 'end' | 'cut' | null = null
  #followers: Follower[] = []
  #wasFollowed = false
  #drained: (() => void) | null = null

  constructor(holding: Holding | null, endingOf: () => Ending | null) {
    this.#holding = holding
    this.#endingOf = endingOf
  }

  get ending(): Ending | null {
    return this.#endingOf()
  }

  /** It can be had from its first byte on. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** All that came so far. Only while it is whole. */
  bytes(last?: Uint8Array): Uint8Array {
    return Buffer.concat(last === undefined ? this.#chunks : [...this.#chunks, last])
  }

  write(chunk: Uint8Array): boolean {
    if (this.#end !== null) return true
    this.#hold(chunk)
    for (const follower of [...this.#followers]) this.#pump(follower)
    this.#tidy()
    return this.#hasRoom
  }

  end(last?: Uint8Array): void {
    if (this.#end !== null) return
    if (last !== undefined && last.length > 0) this.#hold(last)
    this.#end = 'end'
    for (const follower of [...this.#followers]) this.#pump(follower)
    this.#tidy()
  }

  cut(): void {
    if (this.#end !== null) return
    this.#end = 'cut'
    for (const { sink } of this.#followers.splice(0)) sink.cut?.()
    this.#tidy()
  }

  onDrain(callback: () => void): void {
    this.#drained = callback
    this.#wake()
  }

  /** Sends all from the first byte on; cuts the way out when that is gone. */
  follow(sink: Sink): void {
    this.#wasFollowed = true
    if (this.#from > 0 || this.#end === 'cut') return sink.cut?.()
    const follower: Follower = { sink, next: 0, isWaiting: false }
    this.#followers.push(follower)
    this.#pump(follower)
    this.#tidy()
    this.#wake()
  }

  /** This one wants no more. */
  leave(sink: Sink): void {
    this.#followers = this.#followers.filter((follower) => follower.sink !== sink)
    this.#tidy()
    this.#wake()
  }

  /** Nobody new will ask for it: it lives as long as those who read it. */
  close(): void {
    if (this.#holding !== null) this.#holding.bytes -= this.#bytes
    this.#holding = null
  }

  get #total(): number {
    return this.#from + this.#chunks.length
  }

  get #hasRoom(): boolean {
    if (this.#isWhole) return true
    const [pacer] = this.#followers
    return pacer === undefined ? this.#wasFollowed : !pacer.isWaiting
  }

  #hold(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#count(chunk.length)
    if (this.#bytes > KEPT_BYTES || (this.#holding?.bytes ?? 0) > ALL_KEPT_BYTES) this.#isWhole = false
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#holding !== null) this.#holding.bytes += bytes
  }

  #pump(follower: Follower): void {
    const { sink } = follower
    while (!follower.isWaiting && follower.next < this.#total) {
      const chunk = this.#chunks[follower.next++ - this.#from]!
      if (this.#end === 'end' && follower.next === this.#total) return this.#finish(follower, chunk)
      if (sink.write(chunk)) continue
      follower.isWaiting = true
      sink.onDrain(() => this.#resume(follower))
    }
    if (this.#end === 'end' && !follower.isWaiting) this.#finish(follower)
  }

  #resume(follower: Follower): void {
    follower.isWaiting = false
    if (!this.#followers.includes(follower)) return
    this.#pump(follower)
    this.#tidy()
    this.#wake()
  }

  #finish(follower: Follower, last?: Uint8Array): void {
    this.#followers = this.#followers.filter((other) => other !== follower)
    follower.sink.end(last)
  }

  /** Lets go of what nobody will read any more, and of who reads too slowly. */
  #tidy(): void {
    if (this.#isWhole || !this.#wasFollowed) return
    for (;;) {
      const [pacer] = this.#followers
      const slowest = this.#followers.reduce((least, one) => (one.next < least.next ? one : least), pacer!)
      this.#drop((slowest?.next ?? this.#total) - this.#from)
      if (this.#bytes <= KEPT_BYTES || slowest === pacer) return
      this.#followers = this.#followers.filter((follower) => follower !== slowest)
      slowest.sink.cut?.()
    }
  }

  #drop(count: number): void {
    this.#from += count
    for (const chunk of this.#chunks.splice(0, count)) this.#count(-chunk.length)
  }

  #wake(): void {
    if (this.#drained === null || !this.#hasRoom) return
    const callback = this.#drained
    this.#drained = null
    callback()
  }
}
