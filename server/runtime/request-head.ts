/** A request that is not HTTP/1.1, or can be read in two ways: answered with its status, and the connection is closed. */
export class RequestError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Of the target alone: above it 414. */
const MAX_TARGET_BYTES = 16 * 1024
/** Above it 431. */
const MAX_FIELDS = 256
const TOKEN = "[!#$%&'*+.^_`|~\\w-]+"
/** The only shape of a head that is served: RFC 9112 without anything that another server might read in another way. */
const HEAD = new RegExp(
  `^${TOKEN} [\\x21\\x22\\x24-\\x7e]+ HTTP/1\\.[01](?:\\r\\n${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*)*$`,
)
const FIELD = new RegExp(`^${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*$`)
const FRAMING = /^(?:content-length|transfer-encoding|host):/i
/** Allowed, and refused by some. */
const TABBED = /\r\n(?:content-length|transfer-encoding):[^\r]*\t/
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const HOST = /^[\w.~!$&'()*+;=:%[\]-]*$/
/** Of these the first one counts when there are several, as on node; others are joined. */
const SINGLE: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'content-type',
  'etag',
  'expires',
  'from',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
])

/** A request's line and headers. The headers stay text: a few of them are asked for, most are never looked at. */
export class RequestHead {
  readonly method: string
  /** As sent, without host and query. */
  readonly path: string
  /** Behind the `?`, empty when there is none. */
  readonly query: string
  /** HTTP/1.1 rather than 1.0. */
  readonly isModern: boolean
  /** Bytes of the body; null when it comes in chunks. */
  readonly length: number | null
  /** What the caller wants of its connection when this is answered. */
  readonly keepsAlive: boolean
  /** The caller waits to be told to send its body. */
  readonly expectsContinue: boolean
  /** The caller asks for another protocol on this connection. */
  readonly asksUpgrade: boolean
  /** Each header's line with the CRLF before it: since no value holds one, a name is found at the start of lines only. */
  readonly #text: string
  readonly #names: string

  /** @param text one character a byte, up to the empty line. @throws RequestError */
  constructor(text: string) {
    if (!HEAD.test(text)) throw fault(text)
    const methodEnd = text.indexOf(' ')
    const targetEnd = text.indexOf(' ', methodEnd + 1)
    // Behind ` HTTP/1.1`.
    const lineEnd = targetEnd + 9
    this.method = text.slice(0, methodEnd)
    this.isModern = text.charCodeAt(lineEnd - 1) === 0x31
    this.#text = text.slice(lineEnd)
    this.#names = this.#text.toLowerCase()
    if (targetEnd - methodEnd > MAX_TARGET_BYTES) throw new RequestError(414, 'The target is too long')
    if (!METHODS.has(this.method)) throw new RequestError(501, 'Unknown method')
    const target = originForm(text.slice(methodEnd + 1, targetEnd), this.method)
    const mark = target.indexOf('?')
    this.path = mark < 0 ? target : target.slice(0, mark)
    this.query = mark < 0 ? '' : target.slice(mark + 1)
    this.#requireFew()
    this.#requireHost()
    this.length = this.#bodyLength()
    const connection = this.get('connection')
    this.keepsAlive = this.isModern ? !hasToken(connection, 'close') : hasToken(connection, 'keep-alive')
    this.expectsContinue = this.#expectation()
    this.asksUpgrade = this.isModern && hasToken(connection, 'upgrade') && this.get('upgrade') !== null
  }

  /** A header by its lower-case name: several of that name are joined as node does it; null when there is none. */
  get(name: string): string | null {
    const key = keyOf(name)
    const first = this.#names.indexOf(key)
    if (first < 0) return null
    const value = this.#valueAt(first + key.length)
    const second = this.#names.indexOf(key, first + key.length)
    if (second < 0 || SINGLE.has(name)) return value
    return [value, ...this.#values(key, second)].join(name === 'cookie' ? '; ' : ', ')
  }

  /** All headers by their lower-case names. */
  all(): Record<string, string> {
    const names = new Set(Array.from(this.#names.matchAll(/\r\n([^:]+):/g), (found) => found[1]!))
    return Object.fromEntries(Array.from(names, (name) => [name, this.get(name)!]))
  }

  #values(key: string, from: number): string[] {
    const values: string[] = []
    for (let at = from; at >= 0; at = this.#names.indexOf(key, at + key.length))
      values.push(this.#valueAt(at + key.length))
    return values
  }

  /** Without the spaces and tabs around it; not by `trim`, which takes bytes of UTF-8 for spaces. */
  #valueAt(start: number): string {
    const text = this.#text
    const lineEnd = text.indexOf('\r\n', start)
    let end = lineEnd < 0 ? text.length : lineEnd
    let from = start
    while (from < end && isBlank(text.charCodeAt(from))) from++
    while (end > from && isBlank(text.charCodeAt(end - 1))) end--
    return text.slice(from, end)
  }

  #requireFew(): void {
    let fields = 0
    // The shortest header has four bytes: most heads needn't be counted.
    if (this.#text.length <= MAX_FIELDS * 4) return
    for (let at = 0; at >= 0; at = this.#text.indexOf('\r\n', at + 2)) fields++
    if (fields > MAX_FIELDS) throw new RequestError(431, 'Too many headers')
  }

  #requireHost(): void {
    const key = keyOf('host')
    const at = this.#names.indexOf(key)
    if (at < 0) {
      if (this.isModern) throw new RequestError(400, 'The Host header is missing')
    } else if (this.#names.indexOf(key, at + key.length) >= 0 || !HOST.test(this.#valueAt(at + key.length))) {
      throw new RequestError(400, 'One Host header with one name is needed')
    }
  }

  /** RFC 9112, 6: whoever forwards this may see another end of the body, unless there is one way to see it. */
  #bodyLength(): number | null {
    const coding = this.get('transfer-encoding')
    const length = this.get('content-length')
    if (this.#names.includes('\t') && TABBED.test(this.#names))
      throw new RequestError(400, 'A tab where none should be')
    if (coding !== null) {
      if (length !== null) throw new RequestError(400, 'Both Transfer-Encoding and Content-Length')
      if (!this.isModern) throw new RequestError(400, 'Transfer-Encoding in HTTP/1.0')
      if (coding.toLowerCase() === 'chunked') return null
      // Something else inside of chunks can be read by others; all the rest has no end that both sides agree on.
      const isInside = /^(?!chunked\b)[\w-]+,[ \t]*chunked$/i.test(coding)
      throw new RequestError(isInside ? 501 : 400, 'The only Transfer-Encoding is chunked')
    }
    if (length === null) return 0
    if (!/^\d{1,15}$/.test(length)) throw new RequestError(400, 'Content-Length must be one number')
    return Number(length)
  }

  #expectation(): boolean {
    const expect = this.get('expect')
    if (expect === null || !this.isModern) return false
    if (expect.toLowerCase() !== '100-continue') throw new RequestError(417, 'The only expectation is 100-continue')
    return this.length !== 0
  }
}

/** @throws RequestError when the line of a trailer is none, or says again what the head has said */
export function requireTrailer(line: string): void {
  if (!FIELD.test(line) || FRAMING.test(line)) throw new RequestError(400, 'Invalid trailer')
}

/** What the beginning of a head must not have, so that nobody waits for the end of something that is no head. */
export function requireBegin(bytes: Buffer): void {
  // A letter: methods have nothing else in front.
  if ((bytes[0]! | 0x20) < 0x61 || (bytes[0]! | 0x20) > 0x7a) throw new RequestError(400, 'Invalid method')
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
    if (bytes[at - 1] !== 0x0d) throw new RequestError(400, 'Lines must end with CRLF')
  }
}

/** The error of a head that grew too large before its end. */
export function tooLarge(bytes: Buffer): RequestError {
  const line = bytes.indexOf('\r\n')
  if (line < 0 || line > MAX_TARGET_BYTES) return new RequestError(414, 'The target is too long')
  return new RequestError(431, 'The headers are too large')
}

/** Why it isn't of the one shape. */
function fault(text: string): RequestError {
  const lineEnd = text.indexOf('\r\n')
  const line = lineEnd < 0 ? text : text.slice(0, lineEnd)
  if (line.length > MAX_TARGET_BYTES) return new RequestError(414, 'The target is too long')
  const version = / HTTP\/(\d\.\d)$/.exec(line)
  if (version === null) return new RequestError(400, 'Invalid request line')
  if (version[1] !== '1.1' && version[1] !== '1.0') return new RequestError(505, 'Only HTTP/1.1 and 1.0 are served')
  return new RequestError(400, HEAD.test(line) ? 'Invalid header' : 'Invalid request line')
}

/** A target that names its host, as it is sent to proxies, must be understood as well. */
function originForm(target: string, method: string): string {
  if (target.startsWith('/')) return target
  if (target === '*' && method === 'OPTIONS') return target
  const absolute = /^https?:\/\/[^/?]+/i.exec(target)
  if (absolute === null) throw new RequestError(400, 'The target must begin with a slash')
  const path = target.slice(absolute[0].length)
  return path.startsWith('/') ? path : `/${path}`
}

const keys = new Map<string, string>()

/** What a header's line begins with. Names come from the code, never from callers, so they are few. */
function keyOf(name: string): string {
  let key = keys.get(name)
  if (key === undefined) {
    key = `\r\n${name}:`
    keys.set(name, key)
  }
  return key
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Whether a list such as Connection's has the word. */
function hasToken(list: string | null, token: string): boolean {
  if (list === null) return false
  if (list === token) return true
  const found = list.toLowerCase()
  if (!found.includes(token)) return false
  return found.split(',').some((part) => part.trim() === token)
}
