import { concat, latin1 } from './bytes.ts'
import { AnswerError, type ByteText } from './wire.ts'

/** A frame longer than this is no frame: 16 MiB. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024

const LF = 0x0a
const CR = 0x0d
const EMPTY = new Uint8Array(0)
/** A byte order mark, each byte as one character. */
const MARK = '\u00ef\u00bb\u00bf'

/** So many small pieces are put together while an event is awaited: memory follows the bytes, not the chunks. */
const MANY_PIECES = 256

/** What stands on a line that has not ended yet: nothing, half a CRLF, or text. */
const LINE = { empty: 0, halfEnded: 1, text: 2 } as const
type Line = (typeof LINE)[keyof typeof LINE]

/**
 * Cuts a byte stream into whole server-sent events, wherever the chunks were cut: an event ends with an empty line, LF
 * or CRLF. Looks at each byte once, so that an event in many small chunks costs no more than in one.
 */
export class SseFramer {
  /** What came behind the last whole event. The first `#blocks` of the pieces have been put together from many. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #blocks = 0
  #line: Line = LINE.empty

  /**
   * All events that are complete by now, as one range of bytes, null when there is none.
   * @throws AnswerError when one event exceeds MAX_FRAME_BYTES
   */
  push(chunk: Uint8Array): Uint8Array | null {
    const end = this.#lastEnd(chunk)
    if (end === 0) {
      this.#hold(chunk)
      if (this.#heldBytes > MAX_FRAME_BYTES) throw new AnswerError('One event of the stream exceeds 16 MiB')
      return null
    }
    const whole = end === chunk.length ? chunk : chunk.subarray(0, end)
    const events = this.#held.length === 0 ? whole : concat([...this.#held, whole])
    this.#forget()
    if (end < chunk.length) this.#hold(chunk.subarray(end))
    return events
  }

  /** What came behind the last whole event; empty when the stream ended between events. */
  rest(): Uint8Array {
    const rest = this.#held.length === 0 ? EMPTY : concat(this.#held)
    this.#forget()
    return rest
  }

  /** The same as an event, with the empty line that it lacks; null when there is none. It may be half of one. */
  lastFrame(): ByteText | null {
    const rest = this.rest()
    return rest.length === 0 ? null : `${latin1(rest).replace(/[\r\n]+$/, '')}\n\n`
  }

  #forget(): void {
    this.#held = []
    this.#heldBytes = 0
    this.#blocks = 0
    this.#line = LINE.empty
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    this.#line = lineAfter(this.#line, bytes)
    if (this.#held.length - this.#blocks < MANY_PIECES) return
    this.#held.push(concat(this.#held.splice(this.#blocks)))
    this.#blocks++
  }

  /** Index behind the last empty line of the chunk, 0 when none ends in it. */
  #lastEnd(chunk: Uint8Array): number {
    const length = chunk.length
    if (length > 1 && chunk[length - 1] === LF && chunk[length - 2] === LF) return length
    for (let at = chunk.lastIndexOf(LF); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(LF, at - 1)) {
      const before = at > 0 && chunk[at - 1] === CR ? at - 2 : at - 1
      // The line began in an earlier chunk, or with this one.
      const isEmpty = before < 0 ? this.#line <= (at === 0 ? LINE.halfEnded : LINE.empty) : chunk[before] === LF
      if (isEmpty) return at + 1
    }
    return 0
  }
}

function lineAfter(line: Line, bytes: Uint8Array): Line {
  const lastEnd = bytes.lastIndexOf(LF)
  const behind = bytes.length - 1 - lastEnd
  const before = lastEnd < 0 ? line : LINE.empty
  if (behind === 0) return before
  return before === LINE.empty && behind === 1 && bytes[bytes.length - 1] === CR ? LINE.halfEnded : LINE.text
}

/** Index behind the event that begins at `from`, its empty line included; an empty line alone counts as one. */
export function frameEnd(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === LF) return from + 1
  if (first === CR && text.charCodeAt(from + 1) === LF) return from + 2
  for (let at = text.indexOf('\n', from); at >= 0; at = text.indexOf('\n', at + 1)) {
    const next = text.charCodeAt(at + 1)
    if (next === LF) return at + 2
    if (next === CR && text.charCodeAt(at + 2) === LF) return at + 3
  }
  return text.length
}

/** Splits whole events, each with its closing empty line. Works on text of any encoding that keeps ASCII. */
export function splitFrames(text: string): string[] {
  const frames: string[] = []
  for (let from = 0; from < text.length; ) {
    const end = frameEnd(text, from)
    frames.push(text.slice(from, end))
    from = end
  }
  return frames
}

/** The `data` of one event, its lines joined; null for comments and events without data. One character a byte. */
export function dataOf(frame: string): string | null {
  if (
    frame.startsWith('data: ') &&
    frame.indexOf('\n') === frame.length - 2 &&
    frame.charCodeAt(frame.length - 3) !== CR
  ) {
    return frame.slice(6, -2)
  }
  let data: string | null = null
  for (const line of linesOf(frame)) {
    if (!line.startsWith('data:')) continue
    const value = line.charCodeAt(5) === 0x20 ? line.slice(6) : line.slice(5)
    data = data === null ? value : `${data}\n${value}`
  }
  return data
}

/** The name of one event, null when it has none. */
export function eventOf(frame: string): string | null {
  if (!frame.includes('event:')) return null
  const line = linesOf(frame).find((line) => line.startsWith('event:'))
  return line === undefined ? null : line.slice(6).trim()
}

/** The same event with other data on one line; its other fields and line ends stay as they are. */
export function withData(frame: string, data: string): string {
  const old = dataOf(frame)
  if (old !== null && old !== '' && !old.includes('\n')) {
    const at = frame.lastIndexOf(old)
    return frame.slice(0, at) + data + frame.slice(at + old.length)
  }
  const others = linesOf(frame).filter((line) => line !== '' && !line.startsWith('data:'))
  return `${[...others, `data: ${data}`].join('\n')}\n\n`
}

function linesOf(frame: string): string[] {
  return (frame.startsWith(MARK) ? frame.slice(MARK.length) : frame).split(/\r?\n/)
}
