import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type RawClient, rawClient, rawHead, rawPost } from '../helpers/raw-client.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

let upstream: ScriptedUpstream
let app: TestApp
let client: RawClient
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  app = testApp({ upstreamUrl: upstream.url })
  client = await rawClient((await app.listen()).port)
})
afterEach(async () => {
  client.leave()
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const KEY = { authorization: `Bearer ${PROJECT_KEY}` }
const GOOD = JSON.stringify(HELLO)
const MB = 1024 * 1024
const UNKNOWN = { authorization: 'Bearer lgw_proj_ffffffffffffffffffff' }

function errorOf(text: string): { code: string } {
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)).error
}

/** Sends pieces until the gateway takes no more or all are sent. */
async function pour(bytes: number, piece: (chunk: Buffer) => Uint8Array): Promise<number> {
  const chunk = Buffer.alloc(MB, 'a')
  let sent = 0
  while (sent < bytes && (await client.send(piece(chunk)))) sent += chunk.length
  return sent
}

const asChunk = (chunk: Buffer) => Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CRLF])
const CRLF = Buffer.from('\r\n')

describe('a body of 33 MB', () => {
  it('is refused by its content-length before any of it is sent', async () => {
    await client.send(rawHead('POST', CHAT, { ...KEY, 'content-length': String(33 * MB) }))
    const text = await client.until('}}')
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect(text).toMatch(/\r\nconnection: close\r\n/i)
    expect(errorOf(text).code).toBe('request_too_large')
    expect(app.records).toMatchObject([{ status: 413, errorCode: 'request_too_large' }])
    await client.closed
  })

  it.each([
    ['with a content-length', { 'content-length': String(33 * MB) }, (chunk: Buffer) => chunk],
    ['in chunks', { 'transfer-encoding': 'chunked' }, asChunk],
  ])('%s is refused so that a caller who sends all before it reads gets to see it', async (_name, headers, piece) => {
    client.socket.pause()
    await client.send(rawHead('POST', CHAT, { ...KEY, ...headers }))
    expect(await pour(33 * MB, piece)).toBe(33 * MB)
    client.socket.resume()
    await client.until('}}')
    expect(errorOf(client.text).code).toBe('request_too_large')
    expect(app.records).toHaveLength(1)
    expect(upstream.requests).toHaveLength(0)
  })

  it('holds little more memory than the limit while it comes', async () => {
    globalThis.gc?.()
    const before = process.memoryUsage().arrayBuffers
    await client.send(rawHead('POST', CHAT, { ...KEY, 'transfer-encoding': 'chunked' }))
    let most = 0
    await pour(40 * MB, (chunk) => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      return asChunk(chunk)
    })
    expect(most).toBeLessThan(64 * MB)
    await client.until('}}')
    expect(errorOf(client.text).code).toBe('request_too_large')
  })
})

it('a body that never ends is cut off', async () => {
  await client.send(rawHead('POST', CHAT, { ...UNKNOWN, 'transfer-encoding': 'chunked' }))
  expect(await pour(512 * MB, asChunk)).toBeLessThan(256 * MB)
  await client.closed
  expect(errorOf(client.text).code).toBe('invalid_api_key')
})

it('an unknown key is refused before its body is there, and leaves no record', async () => {
  await client.send(rawHead('POST', CHAT, { ...UNKNOWN, 'content-length': '1000000' }))
  expect(await client.until('}}')).toMatch(/^HTTP\/1\.1 401 /)
  expect(app.records).toHaveLength(0)
})

it('a caller who sends a refused body to its end finds the connection closed in order behind the answer', async () => {
  await client.send(rawHead('POST', CHAT, { ...UNKNOWN, 'content-length': '1000000' }))
  await client.until('}}')
  await client.send(Buffer.alloc(1_000_000, 'a'))
  expect(await client.closed).toBe('end')
})

it('a body in many small pieces is read as one', async () => {
  const request = rawPost(CHAT, GOOD, KEY)
  for (let at = 0; at < request.length; at += 7) await client.send(request.slice(at, at + 7))
  expect(await client.until('}}')).toMatch(/^HTTP\/1\.1 200 /)
  expect(Buffer.from(upstream.requests[0]!.body).toString()).toBe(GOOD)
})

it('a body in chunks is read like any other', async () => {
  const half = GOOD.length >> 1
  await client.send(rawHead('POST', CHAT, { ...KEY, 'transfer-encoding': 'chunked' }))
  await client.send(`${half.toString(16)}\r\n${GOOD.slice(0, half)}\r\n`)
  await client.send(`${(GOOD.length - half).toString(16)}\r\n${GOOD.slice(half)}\r\n0\r\n\r\n`)
  expect(await client.until('}}')).toMatch(/^HTTP\/1\.1 200 /)
  expect(Buffer.from(upstream.requests[0]!.body).toString()).toBe(GOOD)
})

it('expect: 100-continue is answered, then the call', async () => {
  const headers = { ...KEY, expect: '100-continue', 'content-length': String(GOOD.length) }
  await client.send(rawHead('POST', CHAT, headers))
  expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 100 /)
  await client.send(GOOD)
  expect(await client.until('}}')).toContain('HTTP/1.1 200 ')
})

it('calls on one connection are answered in order, also when they come at once', async () => {
  await client.send(rawPost(CHAT, GOOD, KEY) + rawPost('/v1/none', GOOD, KEY) + rawHead('GET', '/livez'))
  const text = await client.until('"status":"ok"')
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200'])
})

it.each(['http://gateway.test/livez', 'HTTP://gateway.test//livez?x=/y'])(
  'a target that names its host: %s',
  async (target) => {
    await client.send(rawHead('GET', target))
    expect(await client.until('"ok"')).toMatch(/^HTTP\/1\.1 200 /)
  },
)

it('a caller of HTTP/1.0 gets whole answers and streams, ended by the end of the connection', async () => {
  const body = JSON.stringify({ ...HELLO, stream: true })
  await client.send(rawPost(CHAT, body, KEY).replace('HTTP/1.1', 'HTTP/1.0'))
  await client.closed
  expect(client.text).not.toMatch(/transfer-encoding/i)
  expect(client.text).toMatch(/\r\n\r\ndata: \{[\s\S]*data: \[DONE\]\n\n$/)
})

it.each([
  ['no HTTP', 'hello?\r\n\r\n'],
  ['a header without end', `GET / HTTP/1.1\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`],
  ['two lengths', rawHead('POST', CHAT, { ...KEY, 'content-length': '1', 'Content-Length': '2' })],
  ['a length and chunks', rawHead('POST', CHAT, { ...KEY, 'content-length': '1', 'transfer-encoding': 'chunked' })],
])('%s is refused and the connection closed; the next one is served', async (_name, bytes) => {
  await client.send(bytes)
  await client.closed
  expect(client.text).toMatch(/^HTTP\/1\.1 4\d\d /)
  expect(client.text).not.toMatch(/Error|at /)
  expect(app.records).toHaveLength(0)
  const { port } = await app.listen()
  const next = await rawClient(port)
  await next.send(rawHead('GET', '/livez'))
  expect(await next.until('ok')).toContain('200')
  next.leave()
})
