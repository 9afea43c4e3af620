import { describe, expect, it } from 'vitest'
import type { Sink } from '../../server/http.ts'
import { Broadcast, type Holding, KEPT_BYTES } from '../../server/idempotency/broadcast.ts'

/** A caller that takes `room` chunks and then asks to wait. */
class Reader implements Sink {
  readonly chunks: Uint8Array[] = []
  ended = false
  isCut = false
  room: number
  #drained: (() => void) | null = null

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room
  }

  write(chunk: Uint8Array): boolean {
    this.chunks.push(chunk)
    return --this.room > 0
  }

  end(last?: Uint8Array): void {
    if (last !== undefined) this.chunks.push(last)
    this.ended = true
  }

  cut(): void {
    this.isCut = true
  }

  onDrain(callback: () => void): void {
    this.#drained = callback
  }

  /** Takes so many more. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.room = room
    const callback = this.#drained
    this.#drained = null
    callback?.()
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

const bytes = (text: string) => Buffer.from(text)
const MB = Buffer.alloc(1024 * 1024)
const open = (holding: Holding | null = null) => new Broadcast(holding, () => null)

describe('while it is kept whole', () => {
  it('everybody gets all of it whenever they come, and the end with the last bytes', () => {
    for (const late of [0, 1, 2, 3, 4]) {
      const stream = open()
      const reader = new Reader()
      const says = [() => stream.write(bytes('a')), () => stream.write(bytes('b')), () => stream.end(bytes('c'))]
      says.forEach((say, at) => {
        if (at === late) stream.follow(reader)
        say()
      })
      if (late >= 3) stream.follow(reader)
      expect([reader.text, reader.ended, reader.chunks.length]).toEqual(['abc', true, 3])
    }
  })

  it('an end without last bytes is an end as well', () => {
    const stream = open()
    const readers = [new Reader(), new Reader()]
    stream.follow(readers[0]!)
    stream.write(bytes('a'))
    stream.end()
    stream.follow(readers[1]!)
    expect(readers.map(({ text, ended }) => [text, ended])).toEqual([
      ['a', true],
      ['a', true],
    ])
  })

  it('who reads slowly holds up nobody, and still gets all of it', () => {
    const stream = open()
    const [slow, fast] = [new Reader(1), new Reader()]
    stream.follow(slow)
    stream.follow(fast)
    for (const text of ['a', 'b', 'c']) expect(stream.write(bytes(text))).toBe(true)
    stream.end(bytes('d'))
    expect([fast.text, fast.ended, slow.text, slow.ended]).toEqual(['abcd', true, 'a', false])
    slow.drain(2)
    expect([slow.text, slow.ended]).toEqual(['abc', false])
    slow.drain()
    expect([slow.text, slow.ended]).toEqual(['abcd', true])
  })

  it('who leaves gets nothing more', () => {
    const stream = open()
    const reader = new Reader()
    stream.follow(reader)
    stream.write(bytes('a'))
    stream.leave(reader)
    stream.end(bytes('b'))
    expect([reader.text, reader.ended]).toEqual(['a', false])
  })

  it('cut() cuts everybody, those too who come later', () => {
    const stream = open()
    const [early, late] = [new Reader(), new Reader()]
    stream.follow(early)
    stream.write(bytes('a'))
    stream.cut()
    stream.follow(late)
    expect([early.isCut, late.isCut, early.ended, late.text]).toEqual([true, true, false, ''])
  })

  it('what it holds is counted until it is closed', () => {
    const holding = { bytes: 5 }
    const stream = open(holding)
    stream.write(bytes('four'))
    expect(holding.bytes).toBe(9)
    stream.close()
    stream.close()
    expect(holding.bytes).toBe(5)
    stream.end(bytes('more'))
    expect(holding.bytes).toBe(5)
    expect(stream.bytes().toString()).toBe('fourmore')
  })

  it('all answers together are bounded', () => {
    const holding = { bytes: 256 * 1024 * 1024 }
    const stream = open(holding)
    const reader = new Reader()
    stream.follow(reader)
    stream.write(bytes('a'))
    expect(stream.isWhole).toBe(false)
    stream.end(bytes('b'))
    expect([reader.text, reader.ended, holding.bytes]).toEqual(['ab', true, 256 * 1024 * 1024])
  })
})

describe('beyond what is kept', () => {
  function flood(stream: Broadcast, megabytes: number): boolean[] {
    return Array.from({ length: megabytes }, () => stream.write(MB))
  }

  it('the first one sets the pace, and gets all', () => {
    const stream = open()
    const first = new Reader(3)
    stream.follow(first)
    const told = flood(stream, 9)
    expect(told).toEqual([...Array(8).fill(true), false])
    expect(stream.isWhole).toBe(false)
    let drained = 0
    stream.onDrain(() => drained++)
    expect(drained).toBe(0)
    first.drain()
    expect(drained).toBe(1)
    expect(flood(stream, 20)).toEqual(Array(20).fill(true))
    stream.end()
    expect([first.chunks.length, first.ended]).toEqual([29, true])
  })

  it('nobody can begin any more', () => {
    const stream = open()
    stream.follow(new Reader())
    flood(stream, 9)
    const late = new Reader()
    stream.follow(late)
    expect([late.isCut, late.chunks.length]).toEqual([true, 0])
  })

  it('until somebody follows it waits instead of losing its beginning', () => {
    const stream = open()
    expect(flood(stream, 9).at(-1)).toBe(false)
    let drained = 0
    stream.onDrain(() => drained++)
    const first = new Reader()
    stream.follow(first)
    expect([first.chunks.length, drained]).toEqual([9, 1])
  })

  it('others that lag by more than is kept are cut, and those that keep up are not', () => {
    const stream = open()
    const [first, lagging, keeping] = [new Reader(), new Reader(2), new Reader()]
    for (const reader of [first, lagging, keeping]) stream.follow(reader)
    const most = KEPT_BYTES / MB.length
    flood(stream, most + 2)
    expect([lagging.isCut, lagging.chunks.length]).toEqual([false, 2])
    flood(stream, 1)
    expect(lagging.isCut).toBe(true)
    stream.end(bytes('end'))
    for (const reader of [first, keeping]) expect([reader.chunks.length, reader.ended]).toEqual([most + 4, true])
  })

  it('when the first leaves the next one sets the pace', () => {
    const stream = open()
    const [first, second] = [new Reader(1), new Reader()]
    stream.follow(first)
    stream.follow(second)
    expect(flood(stream, 9).at(-1)).toBe(false)
    let drained = 0
    stream.onDrain(() => drained++)
    stream.leave(first)
    expect(drained).toBe(1)
    expect(flood(stream, 3)).toEqual([true, true, true])
    expect(second.chunks).toHaveLength(12)
  })
})
