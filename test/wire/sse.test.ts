import { describe, expect, it } from 'vitest'
import { dataOf, MAX_FRAME_BYTES, SseFramer, splitFrames, withData } from '../../server/wire/sse.ts'
import { AnswerError } from '../../server/wire/wire.ts'
import { Random } from '../helpers/random.ts'
import { bytesOf, cutAt } from '../helpers/wire.ts'

/** What comes out push by push, and what is left. */
function framed(pieces: readonly Uint8Array[]): { out: string; rest: string; pushes: (string | null)[] } {
  const framer = new SseFramer()
  const pushes = pieces.map((piece) => {
    const frames = framer.push(Uint8Array.from(piece))
    return frames === null ? null : Buffer.from(frames).toString('latin1')
  })
  return { out: pushes.join(''), rest: Buffer.from(framer.rest()).toString('latin1'), pushes }
}

const STREAMS = [
  'data: 1\n\ndata: 2\n\n',
  'data: 1\r\n\r\ndata: 2\r\n\r\n',
  'data: 1\n\r\ndata: 2\r\n\ndata: 3',
  '\n\ndata: 1\n\n\n\ndata: 2\n\n\n',
  '\r\n\r\n: c\r\n\r\n\r\ndata: 2\r\n\r\n\r\n\r',
  'data: 1\rdata: 2\r\r\n\r\ndata: 3\n',
  ': comment\n\nevent: e\nid: 1\ndata: a\ndata: b\n\ndata: é漢👩‍🚀\n\n',
  'no line end at all',
  '\n',
  '\r',
  '',
]

describe('SseFramer', () => {
  it.each(STREAMS)('gives the same events and the same rest wherever %j is cut', (text) => {
    const bytes = bytesOf(text)
    const whole = framed([bytes])
    expect(whole.out + whole.rest).toBe(Buffer.from(bytes).toString('latin1'))
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b++) {
        const { out, rest } = framed(cutAt(bytes, [a, b]))
        expect([out, rest], `cut at ${a} and ${b}`).toEqual([whole.out, whole.rest])
      }
    }
    const { out, rest } = framed(Array.from(bytes, (byte) => Uint8Array.of(byte)))
    expect([out, rest], 'byte by byte').toEqual([whole.out, whole.rest])
  })

  it('does so on 3 000 generated streams of line ends and letters', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = new Random(seed)
      const text = Array.from({ length: random.int(40) }, () => random.pick(['\n', '\n', '\r\n', '\r', 'd', ':'])).join(
        '',
      )
      const bytes = bytesOf(text)
      const whole = framed([bytes])
      const places = Array.from({ length: 4 }, () => random.int(bytes.length + 1)).sort((a, b) => a - b)
      const { out, rest } = framed(cutAt(bytes, places))
      expect([out, rest], `seed ${seed}`).toEqual([whole.out, whole.rest])
      expect(whole.out, `seed ${seed}`).toBe(wholeEvents(text))
    }
  })

  it('hands an event on with the byte that ends it, not later', () => {
    expect(framed([bytesOf('data: 1\n'), bytesOf('\n'), bytesOf('data: 2\n\nda')]).pushes).toEqual([
      null,
      'data: 1\n\n',
      'data: 2\n\n',
    ])
    expect(framed([bytesOf('data: 1\r\n\r'), bytesOf('\n')]).pushes).toEqual([null, 'data: 1\r\n\r\n'])
  })

  it('passes a chunk of whole events on without a copy', () => {
    const chunk = bytesOf('data: 1\n\ndata: 2\n\n')
    expect(new SseFramer().push(chunk)).toBe(chunk)
  })

  it('does not write into what it has handed on', () => {
    const framer = new SseFramer()
    framer.push(bytesOf('data: 1'))
    const first = framer.push(bytesOf('\n\ndata: 2'))!
    framer.push(bytesOf('22'))
    framer.push(bytesOf('\n\ndata: 3333333333333'))
    expect(Buffer.from(first).toString()).toBe('data: 1\n\n')
  })

  it('lets an event of 16 MiB through and refuses a longer one', () => {
    const piece = new Uint8Array(64 * 1024).fill(0x61)
    const framer = new SseFramer()
    for (let held = 0; held < MAX_FRAME_BYTES; held += piece.length) expect(framer.push(piece)).toBeNull()
    expect(() => framer.push(bytesOf('a'))).toThrow(AnswerError)

    const other = new SseFramer()
    for (let held = 0; held < MAX_FRAME_BYTES; held += piece.length) other.push(piece)
    expect(other.push(bytesOf('\n\n'))).toHaveLength(MAX_FRAME_BYTES + 2)
    expect(other.push(bytesOf('data: 1\n\n'))).toHaveLength(9)
  })

  it.each([
    ['lines that end, in an event that does not', 'data: x\n'],
    ['one line without end', 'data: xx'],
    ['half line ends', 'x\r\nx\r\r'],
  ])('does eight times the work on eight times the bytes, of %s', (_, line) => {
    const small = workOn(line, 0.5 * 1024 * 1024)
    const large = workOn(line, 4 * 1024 * 1024)
    // Linear is 8, quadratic is 64.
    expect(large / small).toBeLessThan(30)
  })
})

/** Everything up to the last empty line, by the plain definition: a line end at the start of a line. */
function wholeEvents(text: string): string {
  const ends = Array.from(text.matchAll(/(?<=^|\n)\r?\n/g), (found) => found.index + found[0].length)
  return text.slice(0, ends.at(-1) ?? 0)
}

/** Nanoseconds to push so many bytes of the same line, 1 kB at a time; the best of three. */
function workOn(line: string, length: number): number {
  const chunk = bytesOf(line.repeat(1024 / line.length))
  const times = [1, 2, 3].map(() => {
    const framer = new SseFramer()
    const from = process.hrtime.bigint()
    for (let fed = 0; fed < length; fed += chunk.length) framer.push(chunk)
    return Number(process.hrtime.bigint() - from)
  })
  return Math.min(...times)
}

describe('splitFrames()', () => {
  it.each(STREAMS)('cuts %j where events end and loses nothing', (text) => {
    const frames = splitFrames(text)
    expect(frames.join('')).toBe(text)
    for (const frame of frames.slice(0, -1)) expect(frame).toMatch(/(?:^|\n)\r?\n$/)
    // An event holds no empty line but its own.
    for (const frame of frames) expect(frame.slice(0, -1)).not.toMatch(/\n\r?\n/)
  })
})

describe('dataOf() and withData()', () => {
  it.each([
    ['data: a\n\n', 'a'],
    ['data:a\n\n', 'a'],
    ['data:  a\n\n', ' a'],
    ['data: a\r\ndata: b\r\n\r\n', 'a\nb'],
    ['event: x\nid: 1\ndata: a\nretry: 5\n\n', 'a'],
    ['data:\n\n', ''],
    [': data: a\n\n', null],
    ['event: x\n\n', null],
    ['\u00ef\u00bb\u00bfdata: a\n\n', 'a'],
    ['xdata: a\n\n', null],
    ['', null],
  ])('%j carries %j', (frame, data) => {
    expect(dataOf(frame)).toBe(data)
  })

  it.each([
    ['data: old\n\n', 'data: new\n\n'],
    ['id: 1\r\ndata:old\r\nevent: x\r\n\r\n', 'id: 1\r\ndata:new\r\nevent: x\r\n\r\n'],
    ['id: 1\ndata: ol\ndata: d\nretry: 5\n\n', 'id: 1\nretry: 5\ndata: new\n\n'],
    ['\u00ef\u00bb\u00bfdata: old\n\n', '\u00ef\u00bb\u00bfdata: new\n\n'],
  ])('%j with other data is %j', (frame, expected) => {
    expect(withData(frame, 'new')).toBe(expected)
    expect(dataOf(withData(frame, 'new'))).toBe('new')
  })
})
