import { describe, expect, it } from 'vitest'
import { RequestHead } from '../../server/runtime/request-head.ts'
import { Random } from '../helpers/random.ts'
import { goodRequest, oddRequest, readPieces } from './requests.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const headOf = (...lines: string[]): RequestHead =>
  new RequestHead(['GET / HTTP/1.1', 'Host: h', ...lines].join('\r\n'))

describe('what is read', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'is the same wherever the bytes are cut, good or bad (seed %i)',
    (seed) => {
      const random = new Random(seed)
      const make = () => (random.once(3) ? oddRequest(random) : goodRequest(random))
      const stream = bytes(make() + make() + make())
      const whole = readPieces([stream])
      for (let at = 1; at < stream.length; at++)
        expect(readPieces([stream.subarray(0, at), stream.subarray(at)]), `cut at ${at}`).toEqual(whole)
      expect(readPieces(Array.from(stream, (byte) => Buffer.of(byte)))).toEqual(whole)
      const pieces: Buffer[] = []
      for (let at = 0; at < stream.length; ) {
        const to = at + 1 + random.int(30)
        pieces.push(stream.subarray(at, to))
        at = to
      }
      expect(readPieces(pieces)).toEqual(whole)
    },
  )

  it('is every request of a pipeline, when each is in order', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed)
      const { requests, error } = readPieces([bytes(Array.from({ length: 5 }, () => goodRequest(random)).join(''))])
      expect([seed, requests.length, error]).toEqual([seed, 5, null])
    }
  })

  it('leaves the bytes of the caller’s buffers alone, and copies no body that came in one piece', () => {
    const stream = bytes('POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nok')
    const before = Buffer.from(stream)
    readPieces([stream])
    expect(stream.equals(before)).toBe(true)
  })
})

describe('a header', () => {
  it('is found by its lower-case name, whatever its case and the blanks around its value', () => {
    const head = headOf('X-Request-ID: \t a b \t', 'Empty:', 'Blank: \t', 'UTF:\tà'.replace('à', '\xc3\xa0'))
    const names = ['x-request-id', 'empty', 'blank', 'utf', 'request-id', 'x']
    expect(names.map((name) => head.get(name))).toEqual(['a b', '', '', '\xc3\xa0', null, null])
  })

  it('is never found inside a value, the request’s line, or behind a longer name', () => {
    const head = new RequestHead(
      'GET /?x-a:1 HTTP/1.1\r\nHost: h\r\nfirst: x-a: 2\r\nsecond:x-a:3\r\nxx-a: 4\r\nx-a-b: 5\r\nx: \\r\\nx-a: 6',
    )
    expect(head.get('x-a')).toBeNull()
    expect(head.get('x-a-b')).toBe('5')
  })

  it('that comes several times is joined as node joins it', () => {
    const head = headOf('A: 1', 'cookie: a=1', 'a:2', 'Cookie: b=2', 'a: 3', 'Authorization: one', 'authorization: two')
    expect([head.get('a'), head.get('cookie'), head.get('authorization')]).toEqual(['1, 2, 3', 'a=1; b=2', 'one'])
    expect(head.all()).toEqual({ host: 'h', a: '1, 2, 3', cookie: 'a=1; b=2', authorization: 'one' })
  })
})

describe('a target', () => {
  it.each([
    ['/', '/', ''],
    ['/a/b?c=d?e', '/a/b', 'c=d?e'],
    ['/?', '/', ''],
    ['//x', '//x', ''],
    ['http://host', '/', ''],
    ['http://host?a=/b', '/', 'a=/b'],
    ['HTTPS://user@host:1/a?b', '/a', 'b'],
  ])('%s is %s and %s', (target, path, query) => {
    const head = new RequestHead(`GET ${target} HTTP/1.1\r\nHost: h`)
    expect([head.path, head.query]).toEqual([path, query])
  })
})

it.each([
  ['HTTP/1.1', null, true],
  ['HTTP/1.1', 'close', false],
  ['HTTP/1.1', 'Close', false],
  ['HTTP/1.1', 'te, close', false],
  ['HTTP/1.1', 'closed, x-close', true],
  ['HTTP/1.0', null, false],
  ['HTTP/1.0', 'Keep-Alive', true],
  ['HTTP/1.0', 'close', false],
])('a caller of %s with connection: %s keeps its connection: %s', (version, connection, keeps) => {
  const line = connection === null ? '' : `\r\nConnection: ${connection}`
  expect(new RequestHead(`GET / ${version}\r\nHost: h${line}`).keepsAlive).toBe(keeps)
})
