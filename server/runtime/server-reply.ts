import { STATUS_CODES } from 'node:http'
import type { Sink } from '../http.ts'
import type { ServerSocket } from './server-socket.ts'

/** Above this a writer is told to wait: a caller who reads slowly holds no more of our memory. */
export const HIGH_WATER_BYTES = 64 * 1024

const CRLF = '\r\n'
const NAME = /^[!#$%&'*+.^_`|~\w-]+$/
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

const statusLines = new Map<number, string>()
/** Names are written in the code: what was good once is good. */
const goodNames = new Set<string>()

/** The status line and the headers, each with its CRLF. @throws TypeError rather than let a value begin a new line */
export function headOf(status: number, headers: readonly string[]): string {
  let text = statusLineOf(status)
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!
    const value = headers[at + 1]!
    if (!goodNames.has(name)) requireName(name)
    if (NO_VALUE.test(value)) throw new TypeError(`Bad character in the header ${name}`)
    text += `${name}: ${value}\r\n`
  }
  return text
}

function statusLineOf(status: number): string {
  let line = statusLines.get(status)
  if (line === undefined) {
    if (!Number.isInteger(status) || status < 200 || status > 599) throw new TypeError(`${status} is no final status`)
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
    statusLines.set(status, line)
  }
  return line
}

function requireName(name: string): void {
  if (!NAME.test(name)) throw new TypeError(`Bad character in the name of the header ${JSON.stringify(name)}`)
  if (goodNames.size < 1000) goodNames.add(name)
}

/** Answers of these have no body, whatever their head says. */
export function hasBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

/** Head and body in one piece where that is cheaper than writing twice. */
export function writeWhole(socket: ServerSocket, head: string, body: Uint8Array | string): void {
  if (typeof body === 'string') return void socket.write(head + body, 'latin1')
  if (body.length > HIGH_WATER_BYTES) {
    socket.cork()
    socket.write(head, 'latin1')
    socket.write(body)
    return socket.uncork()
  }
  const bytes = Buffer.allocUnsafe(head.length + body.length)
  bytes.write(head, 0, 'latin1')
  bytes.set(body, head.length)
  socket.write(bytes)
}

/** How the end of a stream is told, and whom. */
export interface StreamOptions {
  /** A number: by that many bytes. `close`: by the end of the connection. `none`: the answer has a head only. */
  readonly framing: number | 'chunked' | 'close' | 'none'
  readonly onEnd: () => void
}

/** The way out of an answer that comes piece by piece: each write is one buffer, its framing included. */
export class StreamSink implements Sink {
  readonly #socket: ServerSocket
  readonly #framing: StreamOptions['framing']
  readonly #onEnd: () => void
  /** Bytes that are still to come. */
  #left: number
  /** The head and what is written in the same breath leave together; null from then on. */
  #first: Buffer[] | null
  #firstBytes: number
  #over = false
  #broken = false
  #drained: (() => void) | null = null

  constructor(socket: ServerSocket, head: string, { framing, onEnd }: StreamOptions) {
    this.#socket = socket
    this.#framing = framing
    this.#onEnd = onEnd
    this.#left = typeof framing === 'number' ? framing : Number.POSITIVE_INFINITY
    this.#first = [Buffer.from(head, 'latin1')]
    this.#firstBytes = head.length
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over || chunk.length === 0 || this.#framing === 'none') return true
    this.#left -= chunk.length
    if (this.#left < 0) {
      this.cut()
      return true
    }
    return this.#send(this.#framing === 'chunked' ? frame(chunk, false) : asBuffer(chunk))
  }

  end(last?: Uint8Array): void {
    if (this.#over) return
    const rest = last ?? new Uint8Array(0)
    if (this.#framing === 'chunked') this.#send(rest.length === 0 ? LAST_CHUNK : frame(rest, true))
    else this.write(rest)
    if (typeof this.#framing === 'number' && this.#left !== 0) return this.cut()
    this.#over = true
    if (this.#first === null) this.#onEnd()
  }

  cut(): void {
    if (this.#over) return
    this.#over = true
    this.#broken = true
    if (this.#first === null) this.#socket.destroy()
  }

  onDrain(callback: () => void): void {
    this.#drained = callback
    if (this.#first === null) this.#look()
  }

  /** Sends the head and what was written behind it so far. */
  flush(): void {
    const first = this.#first!
    this.#first = null
    if (this.#broken) return void this.#socket.destroy()
    this.#socket.write(first.length === 1 ? first[0]! : Buffer.concat(first))
    if (this.#over) return this.#onEnd()
    this.#look()
  }

  /** The socket has sent all that it had. */
  drained(): void {
    const callback = this.#drained
    this.#drained = null
    callback?.()
  }

  /** The caller is gone: nothing is sent any more. */
  stop(): void {
    this.#over = true
    this.#drained = null
  }

  #send(bytes: Buffer): boolean {
    if (this.#first === null) return this.#socket.destroyed || this.#socket.write(bytes)
    this.#first.push(bytes)
    this.#firstBytes += bytes.length
    return this.#firstBytes < HIGH_WATER_BYTES
  }

  /** No drain comes to a socket that isn't full. */
  #look(): void {
    if (this.#drained !== null && !this.#socket.writableNeedDrain) setImmediate(() => this.drained())
  }
}

/** The way out to a caller who is gone. */
export const NOWHERE: Sink = { write: () => true, end() {}, onDrain() {} }

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The chunk with its size before and CRLF behind it; the last one with the end of all behind it. */
function frame(chunk: Uint8Array, isLast: boolean): Buffer {
  const size = chunk.length.toString(16) + CRLF
  const head = size.length
  const end = head + chunk.length
  const framed = Buffer.allocUnsafe(end + 2 + (isLast ? LAST_CHUNK.length : 0))
  for (let at = 0; at < head; at++) framed[at] = size.charCodeAt(at)
  framed.set(chunk, head)
  framed[end] = 0x0d
  framed[end + 1] = 0x0a
  if (isLast) framed.set(LAST_CHUNK, end + 2)
  return framed
}
