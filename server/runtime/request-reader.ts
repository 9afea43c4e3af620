import { RequestError, RequestHead, requireBegin, requireTrailer, tooLarge } from './request-head.ts'

export interface RequestHandler {
  onHead(head: RequestHead): void
  /** The chunk belongs to the handler. */
  onData(chunk: Buffer): void
  /** The body is complete, or there is none. */
  onEnd(): void
}

export const MAX_HEAD_BYTES = 32 * 1024
/** A chunk's size with its extensions, or one trailer. */
const MAX_LINE_BYTES = 4 * 1024
/** Of all extensions of a body, and of all its trailers. */
const MAX_EXTRA_BYTES = 16 * 1024
const CR = 0x0d
const LF = 0x0a
const EMPTY_LINE = Buffer.from('\r\n\r\n')
/** A size and its extensions, without spaces: those are read in different ways. */
const CHUNK =
  /^([\da-f]{1,12})((?:;[!#$%&'*+.^_`|~\w-]+(?:=(?:[!#$%&'*+.^_`|~\w-]+|"[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]*"))?)*)$/i

type State = 'head' | 'sized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'done'

/**
 * Reads HTTP/1.1 requests one after the other, however their bytes are cut (RFC 9112). It stops behind each of them
 * until `next`. Whatever could be read in two ways is refused, since a proxy before us may have read it in the other:
 * then the bytes behind it would be another caller's request.
 */
export class RequestReader {
  readonly #handler: RequestHandler
  #state: State = 'head'
  /** What came of a head or a line that is not complete. */
  #pending: Buffer | null = null
  /** Bytes that the body or the chunk still has. */
  #left = 0
  #extraBytes = 0
  /** An empty line before a request is let pass, once. */
  #skipped = false

  constructor(handler: RequestHandler) {
    this.#handler = handler
  }

  /** The request is complete: nothing more is read before `next`. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /** Nothing has come of a request. */
  get idle(): boolean {
    return this.#state === 'head' && this.#pending === null
  }

  next(): void {
    this.#state = 'head'
    this.#extraBytes = 0
    this.#skipped = false
  }

  /** @returns the bytes taken: all, unless the request is complete before their end. @throws RequestError */
  push(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && this.#state !== 'done') at = this.#step(chunk, at)
    return at
  }

  /** @returns where to go on */
  #step(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(chunk, at)
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
    this.#handler.onData(at === 0 && to === chunk.length ? chunk : chunk.subarray(at, to))
    if (this.#left > 0) return to
    if (this.#state === 'chunk') this.#state = 'chunk-end'
    else this.#end()
    return to
  }

  #end(): void {
    this.#state = 'done'
    this.#handler.onEnd()
  }

  #head(chunk: Buffer, at: number): number {
    const before = this.#pending?.length ?? 0
    const bytes =
      this.#pending === null ? (at === 0 ? chunk : chunk.subarray(at)) : Buffer.concat([this.#pending, chunk])
    if (!this.#skipped && bytes[0] === CR) {
      if (bytes.length > 1 && bytes[1] !== LF) throw new RequestError(400, 'Lines must end with CRLF')
      this.#skipped = bytes.length > 1
      this.#pending = this.#skipped ? null : bytes
      return at + Math.min(2, bytes.length) - before
    }
    const end = bytes.indexOf(EMPTY_LINE, Math.max(0, before - 3))
    if (end < 0 || end > MAX_HEAD_BYTES) {
      requireBegin(bytes.subarray(0, MAX_HEAD_BYTES))
      if (bytes.length > MAX_HEAD_BYTES) throw tooLarge(bytes)
      this.#pending = bytes
      return chunk.length
    }
    this.#pending = null
    this.#begin(bytes, end)
    return at + end + EMPTY_LINE.length - before
  }

  #begin(bytes: Buffer, end: number): void {
    const head = this.#read(bytes, end)
    this.#left = head.length ?? 0
    this.#state = head.length === null ? 'chunk-size' : 'sized'
    this.#handler.onHead(head)
    if (head.length === 0) this.#end()
  }

  #read(bytes: Buffer, end: number): RequestHead {
    try {
      return new RequestHead(bytes.toString('latin1', 0, end))
    } catch (error) {
      // First, as it is where the bytes come one by one.
      requireBegin(bytes.subarray(0, end))
      throw error
    }
  }

  /** The lines between and behind the chunks. */
  #line(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at)
    const to = end < 0 ? chunk.length : end + 1
    const part = chunk.subarray(at, to)
    const line = this.#pending === null ? part : Buffer.concat([this.#pending, part])
    if (line.length > MAX_LINE_BYTES) throw new RequestError(413, 'A line between the chunks is too long')
    if (end < 0) {
      this.#pending = line
      return to
    }
    this.#pending = null
    if (line[line.length - 2] !== CR) throw new RequestError(400, 'Lines must end with CRLF')
    this.#readLine(line.toString('latin1', 0, line.length - 2))
    return to
  }

  #readLine(line: string): void {
    if (this.#state === 'chunk-size') {
      const found = CHUNK.exec(line)
      if (found === null) throw new RequestError(400, 'Invalid size of a chunk')
      this.#takeExtra(found[2]!.length)
      this.#left = Number.parseInt(found[1]!, 16)
      this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    } else if (this.#state === 'chunk-end') {
      if (line !== '') throw new RequestError(400, 'A chunk is longer than its size')
      this.#state = 'chunk-size'
    } else if (line === '') {
      this.#end()
    } else {
      // Read for their form, then dropped: nothing that comes behind the body may change what was decided before it.
      requireTrailer(line)
      this.#takeExtra(line.length)
    }
  }

  #takeExtra(bytes: number): void {
    this.#extraBytes += bytes
    if (this.#extraBytes > MAX_EXTRA_BYTES) throw new RequestError(413, 'Too much beside the chunks')
  }
}
