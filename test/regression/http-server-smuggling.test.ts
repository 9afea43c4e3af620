import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { Listener } from '../../server/http.ts'
import { listen } from '../../server/runtime/server.ts'
import { rawClient } from '../helpers/raw-client.ts'

/** What a request smuggler sends: each must end its connection, and what is behind it must never be served. */
const HOST = 'Host: gateway.test'
const post = (...lines: string[]): string => ['POST / HTTP/1.1', HOST, ...lines].join('\r\n')
const CHUNKED = 'Transfer-Encoding: chunked'
const chunked = (body: string): string => `${post(CHUNKED)}\r\n\r\n${body}`
const BODY = '5\r\nhello\r\n0\r\n\r\n'

const heads: [name: string, status: number, head: string][] = [
  ['both a length and chunks', 400, post('Content-Length: 5', CHUNKED)],
  ['both chunks and a length', 400, post(CHUNKED, 'Content-Length: 5')],
  ['two lengths', 400, post('Content-Length: 5', 'Content-Length: 6')],
  ['the same length twice', 400, post('Content-Length: 5', 'content-length: 5')],
  ...['5, 5', '5,6', '+5', '-5', '0x5', '5 5', '5.0', '5e0', '', ' ', '٥', '5_0', '"5"', '9'.repeat(16), 'five'].map(
    (value): [string, number, string] => [`the length ${value}`, 400, post(`Content-Length: ${value}`)],
  ),
  ...['gzip', 'identity', 'chunked, gzip', 'chunked, chunked', 'xchunked', '"chunked"', 'chunked;q=1', ''].map(
    (value): [string, number, string] => [`the coding ${value}`, 400, post(`Transfer-Encoding: ${value}`)],
  ),
  ['the coding gzip, chunked', 501, post('Transfer-Encoding: gzip, chunked')],
  ['two codings', 400, post(CHUNKED, 'transfer-encoding: identity')],
  ['chunks in HTTP/1.0', 400, post(CHUNKED).replace('HTTP/1.1', 'HTTP/1.0')],
  ['a vertical tab before the coding', 400, post('Transfer-Encoding:\x0bchunked')],
  ['a tab behind the length', 400, post('Content-Length: 5\t')],
  ['a tab before the coding', 400, post('Transfer-Encoding:\tchunked')],
  ['a blank before the colon', 400, post('Content-Length : 5')],
  ['a tab before the colon', 400, post('Transfer-Encoding\t: chunked')],
  ['a folded line', 400, post('X: a', ' Content-Length: 5')],
  ['a folded first line', 400, post().replace(HOST, ` ${HOST}`)],
  ['a name with nothing before the colon', 400, post(': x')],
  ['a line without a colon', 400, post('Content-Length')],
  ['a bare CR', 400, post(`X: a\r${CHUNKED}`)],
  ['a bare LF', 400, post(`X: a\n${CHUNKED}`)],
  ['bare LFs only', 400, 'GET / HTTP/1.1\nHost: h\n\n'],
  ['a NUL in a value', 400, post('X: a\0b')],
  ['a NUL in a name', 400, post('X\0: a')],
  ['a control character in a value', 400, post('X: a\x01')],
  ['a DEL in a value', 400, post('X: a\x7f')],
  ['a name beyond ASCII', 400, post('Contént-Length: 5')],
  ['no host', 400, 'GET / HTTP/1.1'],
  ['two hosts', 400, post('Host: other')],
  ['a host that is a list', 400, post().replace('gateway.test', 'a, b')],
  ['a host with a path', 400, post().replace('gateway.test', 'a/b')],
  ['a method that is no word', 400, `GE(T / HTTP/1.1\r\n${HOST}`],
  ['no method', 400, ` / HTTP/1.1\r\n${HOST}`],
  ['an unknown method', 501, `FETCH / HTTP/1.1\r\n${HOST}`],
  ['CONNECT', 501, `CONNECT h:1 HTTP/1.1\r\n${HOST}`],
  ['two blanks in the line', 400, `GET  / HTTP/1.1\r\n${HOST}`],
  ['a tab in the line', 400, `GET\t/ HTTP/1.1\r\n${HOST}`],
  ['a blank in the target', 400, `GET /a b HTTP/1.1\r\n${HOST}`],
  ['a target that is no path', 400, `GET a HTTP/1.1\r\n${HOST}`],
  ['a fragment', 400, `GET /a#b HTTP/1.1\r\n${HOST}`],
  ['bytes beyond ASCII in the target', 400, `GET /\xe9 HTTP/1.1\r\n${HOST}`],
  ['no version', 400, `GET /\r\n${HOST}`],
  ['HTTP/2.0', 505, `PRI * HTTP/2.0\r\n${HOST}`],
  ['HTTP/1.2', 505, `GET / HTTP/1.2\r\n${HOST}`],
  ['http/1.1', 400, `GET / http/1.1\r\n${HOST}`],
  ['an unknown expectation', 417, post('Expect: tea', 'Content-Length: 5')],
  ['33 kB of headers', 431, post(...Array.from({ length: 200 }, (_, at) => `x-${at}: ${'a'.repeat(160)}`))],
  ['300 headers', 431, post(...Array.from({ length: 300 }, (_, at) => `x-${at}: a`))],
  ['a target of 17 kB', 414, `GET /${'a'.repeat(17_000)} HTTP/1.1\r\n${HOST}`],
  ['TLS', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['two empty lines before the request', 400, `\r\n\r\n${post()}`],
]

const bodies: [name: string, status: number, body: string][] = [
  ['a chunk size with a sign', 400, '+5\r\nhello\r\n'],
  ['a chunk size with 0x', 400, '0x5\r\nhello\r\n'],
  ['a chunk size with a blank before', 400, ' 5\r\nhello\r\n'],
  ['a chunk size with a blank behind', 400, '5 \r\nhello\r\n'],
  ['no chunk size', 400, '\r\nhello\r\n'],
  ['an endless chunk size', 400, `${'f'.repeat(20)}\r\nhello\r\n`],
  ['a chunk size that ends with LF', 400, '5\nhello\r\n'],
  ['a bare CR in an extension', 400, '5;a\rb\r\nhello\r\n'],
  ['an extension without a name', 400, '5;\r\nhello\r\n'],
  ['a chunk that is longer than it says', 400, '5\r\nhello!\r\n'],
  ['a chunk that ends with LF', 400, '5\r\nhello\n0\r\n\r\n'],
  ['a chunk that ends with two other bytes', 400, '5\r\nhelloxx0\r\n\r\n'],
  ['a trailer without a colon', 400, '0\r\nGET / HTTP/1.1\r\n\r\n'],
  ['a length behind the body', 400, '0\r\nContent-Length: 5\r\n\r\n'],
  ['a coding behind the body', 400, '0\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['a folded trailer', 400, '0\r\nx: a\r\n b\r\n\r\n'],
  ['an endless extension', 413, `5;a=${'a'.repeat(5_000)}\r\nhello\r\n`],
  ['many long extensions', 413, `1;a=${'a'.repeat(3_000)}\r\nx\r\n`.repeat(10)],
  ['endless trailers', 413, `0\r\n${'x: abcdefgh\r\n'.repeat(2_000)}\r\n`],
]

let listener: Listener
let served: string[] = []
beforeAll(async () => {
  listener = await listen(
    async (incoming) => {
      const body = await incoming.body(1000)
      served.push(`${incoming.method} ${incoming.path} ${body.length}`)
      return { status: 200, headers: [], body: 'served' }
    },
    { host: '127.0.0.1', port: 0 },
  )
})
afterEach(() => {
  served = []
})
afterAll(() => listener.close(0))

const NEXT = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n\r\n`

async function refusal(bytes: string): Promise<string> {
  const client = await rawClient(Number(new URL(listener.url).port))
  await client.send(Buffer.from(bytes, 'latin1'))
  expect(await client.closed).toBe('end')
  client.leave()
  expect(client.text.match(/HTTP\/1\.1 \d\d\d /g), client.text).toHaveLength(1)
  expect(client.text).toMatch(/\r\nconnection: close\r\n/)
  expect(JSON.parse(client.text.slice(client.text.indexOf('\r\n\r\n')))).toMatchObject({
    error: { code: 'invalid_request', type: 'invalid_request_error' },
  })
  return client.text.slice(9, 12)
}

it.each(heads)('%s: %i, and nothing behind it is served', async (_, status, head) => {
  expect(await refusal(`${head}\r\n\r\n${BODY}${NEXT}`)).toBe(String(status))
  expect(served).toEqual([])
})

it.each(bodies)('%s: %i, and nothing behind it is served', async (_, status, body) => {
  expect(await refusal(chunked(body + NEXT))).toBe(String(status))
  expect(served).toEqual([])
})

it('what is in order is served, with all that is behind it', async () => {
  const client = await rawClient(Number(new URL(listener.url).port))
  const last = NEXT.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
  await client.send(chunked(BODY) + chunked(`5;a="b;c"\r\nhello\r\n0\r\nx: y\r\n\r\n`) + last)
  await client.closed
  expect(served).toEqual(['POST / 5', 'POST / 5', 'GET /smuggled 0'])
})
