/** The request side of the scripted provider: just enough HTTP/1.1 to read what a client sends, byte by byte if need be. */

export interface RequestHead {
  readonly method: string
  readonly path: string
  /** Name, value, name, value, as they came. */
  readonly rawHeaders: readonly string[]
  /** Names in lower case; repeated ones joined by a comma and a space. */
  readonly headers: Readonly<Record<string, string>>
}

export interface RequestEvents {
  onHead(head: RequestHead): void
  onBody(bytes: Uint8Array): void
  /** The body is whole. Bytes of a next request wait until `next` is called. */
  onEnd(): void
}

type Phase = 'head' | 'length' | 'size' | 'chunk' | 'chunk-end' | 'trailers' | 'done'

const HEAD_END = Buffer.from('\r\n\r\n')
const LINE_END = Buffer.from('\r\n')

/** Reads requests from one connection, one at a time. @throws Error for bytes that are not a request. */
export class RequestReader {
  private buffer: Buffer = Buffer.alloc(0)
  private phase: Phase = 'head'
  private left = 0
  private readonly events: RequestEvents

  constructor(events: RequestEvents) {
    this.events = events
  }

  push(bytes: Uint8Array): void {
    this.buffer = this.buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.buffer, bytes])
    while (this.step()) {}
  }

  /** Goes on with the next request of the connection. */
  next(): void {
    this.phase = 'head'
    while (this.step()) {}
  }

  private step(): boolean {
    switch (this.phase) {
      case 'head':
        return this.readHead()
      case 'length':
        return this.readBody('done')
      case 'size':
        return this.readSize()
      case 'chunk':
        return this.readBody('chunk-end')
      case 'chunk-end':
        return this.takeLine() !== null && this.enter('size')
      case 'trailers': {
        const line = this.takeLine()
        return line !== null && this.enter(line === '' ? 'done' : 'trailers')
      }
      case 'done':
        return false
    }
  }

  private enter(phase: Phase): boolean {
    this.phase = phase
    if (phase === 'done') this.events.onEnd()
    return true
  }

  private readHead(): boolean {
    const end = this.buffer.indexOf(HEAD_END)
    if (end < 0) return false
    const head = parseHead(this.buffer.toString('latin1', 0, end))
    this.buffer = this.buffer.subarray(end + HEAD_END.length)
    this.events.onHead(head)
    if (head.headers['transfer-encoding']?.toLowerCase().includes('chunked')) return this.enter('size')
    this.left = Number(head.headers['content-length'] ?? 0)
    return this.enter(this.left === 0 ? 'done' : 'length')
  }

  private readBody(after: Phase): boolean {
    if (this.buffer.length === 0) return false
    const bytes = this.buffer.subarray(0, this.left)
    this.buffer = this.buffer.subarray(bytes.length)
    this.left -= bytes.length
    this.events.onBody(bytes)
    return this.left === 0 ? this.enter(after) : false
  }

  private readSize(): boolean {
    const line = this.takeLine()
    if (line === null) return false
    this.left = Number.parseInt(line, 16)
    if (Number.isNaN(this.left)) throw new Error(`Not a chunk size: ${line}`)
    return this.enter(this.left === 0 ? 'trailers' : 'chunk')
  }

  private takeLine(): string | null {
    const end = this.buffer.indexOf(LINE_END)
    if (end < 0) return null
    const line = this.buffer.toString('latin1', 0, end)
    this.buffer = this.buffer.subarray(end + LINE_END.length)
    return line
  }
}

function parseHead(text: string): RequestHead {
  const [requestLine = '', ...lines] = text.split('\r\n')
  const [method, path, version] = requestLine.split(' ')
  if (method === undefined || path === undefined || !version?.startsWith('HTTP/1.')) {
    throw new Error(`Not a request line: ${requestLine}`)
  }
  const rawHeaders: string[] = []
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon <= 0) throw new Error(`Not a header: ${line}`)
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).trim()
    rawHeaders.push(name, value)
    const key = name.toLowerCase()
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`
  }
  return { method, path, rawHeaders, headers }
}
