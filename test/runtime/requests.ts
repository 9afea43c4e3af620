import type { RequestHead } from '../../server/runtime/request-head.ts'
import { RequestError } from '../../server/runtime/request-head.ts'
import { RequestReader } from '../../server/runtime/request-reader.ts'
import type { Random } from '../helpers/random.ts'

/** One request as somebody has read it: both servers of a comparison tell it in this form. */
export interface ReadRequest {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Reading {
  readonly requests: ReadRequest[]
  /** The status that it ended with, null when all was in order. */
  readonly error: number | null
}

/** What the reader makes of bytes that come in these pieces, as a connection would use it. */
export function readPieces(pieces: readonly Buffer[]): Reading {
  const requests: ReadRequest[] = []
  let head: RequestHead | null = null
  let body: Buffer[] = []
  const reader: RequestReader = new RequestReader({
    onHead(read) {
      head = read
      body = []
    },
    onData: (chunk) => void body.push(Buffer.from(chunk)),
    onEnd() {
      const { method, path, query } = head!
      const target = query === '' ? path : `${path}?${query}`
      requests.push({ method, target, headers: head!.all(), body: Buffer.concat(body).toString('latin1') })
    },
  })
  try {
    for (const piece of pieces) {
      let rest = piece
      while (rest.length > 0) {
        rest = rest.subarray(reader.push(rest))
        if (reader.done) reader.next()
      }
    }
    return { requests, error: null }
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return { requests, error: error.status }
  }
}

const CRLF = '\r\n'
const TARGETS = [
  '/',
  '/v1/chat',
  '/a?b=c',
  '/a?',
  '/?/?x',
  '//a//b',
  '/%20',
  'http://h/x',
  'HTTPS://h:1?q=/z',
  'http://h',
]
const VALUES = [
  '1',
  '',
  'a, b',
  '\tx \t',
  'GET / HTTP/1.1',
  'content-length: 5',
  'é\xff\xa0',
  '\xa0',
  '"q;=,"',
  'chunked',
]
const NAMES = [
  'x-a',
  'X-B',
  'Accept',
  'cookie',
  'COOKIE',
  'x_c',
  'Te',
  'via',
  '!#$',
  'authorization',
  'x-content-length',
]

/** A request that is in order, with whatever is allowed and seldom seen. */
export function goodRequest(random: Random): string {
  const method = random.pick(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'])
  const lines = [
    `${method} ${random.pick(TARGETS)} HTTP/1.1`,
    `${random.pick(['Host', 'host', 'HOST'])}: h${random.int(9)}`,
  ]
  for (let left = random.int(6); left > 0; left--) {
    lines.push(`${random.pick(NAMES)}:${random.pick(['', ' ', '\t', '  '])}${random.pick(VALUES)}`)
  }
  const [framing, body] = bodyOf(random)
  if (framing !== null) lines.splice(1 + random.int(lines.length - 1), 0, framing)
  return `${random.once(12) ? CRLF : ''}${lines.join(CRLF)}${CRLF}${CRLF}${body}`
}

function bodyOf(random: Random): [framing: string | null, body: string] {
  const body = random.pick([
    '',
    'a',
    'hello',
    '\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    '0\r\n\r\n',
    '\x00\xff',
    'x'.repeat(300),
  ])
  if (random.once(3)) return [null, '']
  if (random.once(2)) return [`${random.pick(['Content-Length', 'content-length'])}: ${body.length}`, body]
  return [`Transfer-Encoding:${random.pick(['', ' '])}${random.pick(['chunked', 'Chunked'])}`, chunksOf(random, body)]
}

function chunksOf(random: Random, body: string): string {
  let text = ''
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + random.int(40))
    const hex = size.toString(16)
    const extension = random.once(4) ? random.pick([';a', ';a=b', ';a="b c"', ';a=b;c']) : ''
    text += `${random.pick(['', '0', '00'])}${random.once(2) ? hex.toUpperCase() : hex}${extension}${CRLF}`
    text += body.slice(at, at + size) + CRLF
    at += size
  }
  const trailers = random.once(4) ? random.pick(['x-t: 1\r\n', 'x-t:\r\nx-host: evil\r\n']) : ''
  return `${text}0${CRLF}${trailers}${CRLF}`
}

/** The same with something wrong, or at least odd, somewhere: bytes taken away, doubled, changed or put in. */
export function oddRequest(random: Random): string {
  let text = goodRequest(random)
  for (let left = 1 + random.int(2); left > 0; left--) {
    const at = random.int(text.length)
    const put = random.pick(ODD)
    const cut = random.pick([0, 0, 1, 2])
    text = text.slice(0, at) + put + text.slice(at + cut)
  }
  if (random.once(3)) text = text.replace(/\r\n/, `\r\n${random.pick(ODD_LINES)}\r\n`)
  if (random.once(8))
    text = text.replace('HTTP/1.1', random.pick(['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ']))
  return text
}

const ODD = [
  '',
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ',',
  ';',
  '0',
  '+',
  '-',
  '\x7f',
  '\x80',
  '\r\n ',
  '\r\n\r\n',
  'x',
]
const ODD_LINES = [
  'Content-Length: 5',
  'content-length: 5, 5',
  'Content-Length: +5',
  'Content-Length: 0x5',
  'Content-Length : 5',
  'Content-Length:',
  'Content-Length: 5 5',
  'Transfer-Encoding: chunked',
  'transfer-encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\x0bchunked',
  ' Transfer-Encoding: chunked',
  'Host: other',
  'Host : other',
  'x: a\rTransfer-Encoding: chunked',
  'x: a\nTransfer-Encoding: chunked',
  ': empty',
  'no-colon',
  'Connection: close',
  'Connection: keep-alive, close',
  'Expect: 100-continue',
  'Expect: tea',
]
