/** What a provider sent is not HTTP/1.1, or not in a way that can only be read one way. */
export class NotHttpError extends Error {}

export interface ResponseHandler {
  /** @param header reads one response header by its lower-case name. */
  onHead(status: number, header: (name: string) => string | null): void
  onData(chunk: Uint8Array): void
}

const MAX_HEAD_BYTES = 64 * 1024
/** A chunk's size with its extensions. */
const MAX_LINE_BYTES = 4 * 1024
const CR = 0x0d
const LF = 0x0a
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?$/

type State = 'head' | 'sized' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'done'

/**
 * Reads one HTTP/1.1 response, however its bytes are cut (RFC 9112): interim responses are skipped, bodies end by
 * length, by chunks or with the connection. Whatever could be read in two ways is refused, since the next answer on the
 * same connection would begin at the wrong place.
 */
export class ResponseReader {
  readonly #handler: ResponseHandler
  #state: State = 'head'
  /** What came of a head or a line that is not complete. */
  #pending: Buffer | null = null
  /** Bytes that the body or the chunk still has. */
  #left = 0
  #trailerBytes = 0
  #keepsAlive = false
  #stopped = false

  constructor(handler: ResponseHandler) {
    this.#handler = handler
  }

  /** The connection may serve another exchange: the answer is complete, and both ends agree on where it ended. */
  get reusable(): boolean {
    return this.#state === 'done' && this.#keepsAlive
  }

  /** The answer is complete. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /** Reports nothing more. */
  stop(): void {
    this.#stopped = true
  }

  /** @throws NotHttpError */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#state === 'done') {
        // More than was announced: nobody knows whose it is.
        this.#keepsAlive = false
        return
      }
      at = this.#step(chunk, at)
    }
  }

  /** The provider closed the connection in order. @returns false when the answer isn't complete by that */
  close(): boolean {
    if (this.#state === 'until-close') this.#state = 'done'
    return this.#state === 'done'
  }

  /** @returns where to go on */
  #step(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(chunk, at)
      case 'until-close':
        this.#handler.onData(at === 0 ? chunk : chunk.subarray(at))
        return chunk.length
      case 'sized':
      case 'chunk':
        return this.#body(chunk, at)
      default:
        return this.#line(chunk, at)
    }
  }

  #body(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + this.#left)
    this.#left -= to - at
    const isLast = this.#left === 0
    this.#handler.onData(at === 0 && to === chunk.length ? chunk : chunk.subarray(at, to))
    if (!isLast || this.#stopped) return to
    this.#state = this.#state === 'chunk' ? 'chunk-end' : 'done'
    return to
  }

  #head(chunk: Buffer, at: number): number {
    const before = this.#pending?.length ?? 0
    const bytes = this.#pending === null ? chunk.subarray(at) : Buffer.concat([this.#pending, chunk.subarray(at)])
    const end = bytes.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end > MAX_HEAD_BYTES || (end < 0 && bytes.length > MAX_HEAD_BYTES)) throw new NotHttpError('Endless head')
    if (end < 0) {
      // Bytes that are no HTTP may never have an empty line: no need to wait for one.
      if (!'HTTP/1.'.startsWith(bytes.toString('latin1', 0, 7))) throw new NotHttpError('No HTTP')
      this.#pending = bytes
      return chunk.length
    }
    this.#pending = null
    this.#readHead(bytes.toString('latin1', 0, end))
    return at + end + 4 - before
  }

  #readHead(text: string): void {
    const firstEnd = text.indexOf('\r\n')
    const line = STATUS_LINE.exec(firstEnd < 0 ? text : text.slice(0, firstEnd))
    if (line === null) throw new NotHttpError('No status line')
    const status = Number(line[2])
    if (status === 101) throw new NotHttpError('Another protocol than was asked for')
    if (status < 200) return
    const head = new Head(firstEnd < 0 ? '' : text.slice(firstEnd))
    const connection = head.get('connection')?.toLowerCase() ?? ''
    this.#keepsAlive = line[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive')
    this.#frame(status, head)
    if (this.#state === 'sized' && this.#left === 0) this.#state = 'done'
    this.#handler.onHead(status, (name) => head.get(name))
  }

  #frame(status: number, head: Head): void {
    const coding = head.only('transfer-encoding')
    const length = head.only('content-length')
    if (status === 204 || status === 304) {
      this.#state = 'sized'
      this.#left = 0
    } else if (coding !== null) {
      if (coding.toLowerCase() !== 'chunked') throw new NotHttpError(`Transfer-encoding ${coding.slice(0, 40)}`)
      if (length !== null) this.#keepsAlive = false
      this.#state = 'chunk-size'
    } else if (length !== null) {
      if (!/^\d{1,15}$/.test(length)) throw new NotHttpError('No number as content-length')
      this.#state = 'sized'
      this.#left = Number(length)
    } else {
      this.#state = 'until-close'
      this.#keepsAlive = false
    }
  }

  /** The lines between the chunks. */
  #line(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at)
    const to = end < 0 ? chunk.length : end + 1
    const part = chunk.subarray(at, to)
    const line = this.#pending === null ? part : Buffer.concat([this.#pending, part])
    if (line.length > MAX_LINE_BYTES) throw new NotHttpError('Endless line')
    if (end < 0) {
      this.#pending = line
      return to
    }
    this.#pending = null
    if (line[line.length - 2] !== CR) throw new NotHttpError('Line without CR')
    this.#readLine(line.toString('latin1', 0, line.length - 2))
    return to
  }

  #readLine(line: string): void {
    if (this.#state === 'chunk-size') {
      const size = /^([\da-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line)
      if (size === null) throw new NotHttpError('No number as size of a chunk')
      this.#left = Number.parseInt(size[1]!, 16)
      this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    } else if (this.#state === 'chunk-end') {
      if (line !== '') throw new NotHttpError('Chunk longer than its size')
      this.#state = 'chunk-size'
    } else {
      this.#trailerBytes += line.length
      if (this.#trailerBytes > MAX_HEAD_BYTES) throw new NotHttpError('Endless trailers')
      if (line === '') this.#state = 'done'
    }
  }
}

/** Headers as they came: a few of them are asked for, most are never looked at. */
class Head {
  /** Each line begins with CRLF. */
  readonly #text: string
  readonly #names: string

  constructor(text: string) {
    this.#text = text
    this.#names = text.toLowerCase()
  }

  /** The first of that name. */
  get(name: string): string | null {
    const at = this.#names.indexOf(`\r\n${name}:`)
    return at < 0 ? null : this.#value(at, name)
  }

  /** @throws NotHttpError when it is there twice and doesn't say the same */
  only(name: string): string | null {
    const first = this.#names.indexOf(`\r\n${name}:`)
    if (first < 0) return null
    const last = this.#names.lastIndexOf(`\r\n${name}:`)
    const value = this.#value(first, name)
    if (last !== first && this.#value(last, name) !== value) throw new NotHttpError(`Two of ${name}`)
    return value
  }

  #value(at: number, name: string): string {
    const from = at + name.length + 3
    const end = this.#text.indexOf('\r\n', from)
    return this.#text.slice(from, end < 0 ? undefined : end).trim()
  }
}
