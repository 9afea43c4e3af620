import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ScriptedUpstream, startUpstream } from './upstream.ts'
import {
  anthropicFailure,
  empty,
  garbage,
  gzipBomb,
  hang,
  html,
  huge,
  inTurn,
  json,
  openaiFailure,
  PROVIDER_HEADERS,
  redirect,
  sse,
  truncated,
} from './upstream-answers.ts'
import { type BookEntry, openaiProvider } from './upstream-openai.ts'
import { answer, gate } from './upstream-plan.ts'

let upstream: ScriptedUpstream
beforeEach(async () => {
  upstream = await startUpstream()
})
afterEach(() => upstream.close())

const chat = '/v1/chat/completions'

function post(body: string, init: RequestInit = {}): Promise<Response> {
  return fetch(upstream.url + chat, { method: 'POST', body, redirect: 'manual', ...init })
}

/** Everything a raw client reads until the connection closes, and the chunks as they came. */
async function raw(request: string): Promise<{ chunks: string[]; text: string; reset: boolean }> {
  const socket = connect(upstream.port, '127.0.0.1')
  const chunks: string[] = []
  let reset = false
  socket.on('data', (bytes) => chunks.push(bytes.toString('latin1')))
  socket.on('error', () => {
    reset = true
  })
  socket.write(request)
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { chunks, text: chunks.join(''), reset }
}

const GET = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'

describe('requests', () => {
  it('are recorded with method, path, headers and the exact bytes of their body', async () => {
    await post('{"a":"\u{1F600}"}', { headers: { 'X-Thing': 'one' } })
    const [request] = upstream.requests
    expect(request).toMatchObject({ method: 'POST', path: chat, connection: 0 })
    expect(request?.headers['x-thing']).toBe('one')
    expect(request?.json()).toEqual({ a: '\u{1F600}' })
    expect(await request?.ended).toBe('sent')
  })

  it('sent in chunks, pipelined and cut at every byte are read the same', async () => {
    const one = 'POST /a HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'
    const two = 'POST /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi'
    const socket = connect({ port: upstream.port, host: '127.0.0.1', noDelay: true })
    for (const byte of one + two) await new Promise((resolve) => socket.write(byte, resolve))
    socket.resume()
    await once(socket, 'close')
    const seen = upstream.requests.map(({ path, body }) => [path, Buffer.from(body).toString()])
    expect(seen).toEqual([
      ['/a', 'abcde'],
      ['/b', 'hi'],
    ])
    expect(upstream.faults).toEqual([])
  })

  it('keep their connection, which shows that a client uses it again', async () => {
    for (let times = 0; times < 20; times++) await (await post('{}')).text()
    // Node's fetch may open a second one before the first is free again.
    expect(new Set(upstream.requests.map(({ connection }) => connection)).size).toBeLessThanOrEqual(2)
  })

  it('that are no HTTP end the connection and are named among the faults', async () => {
    await raw('what is this\r\n\r\n')
    expect(upstream.faults).toHaveLength(1)
  })

  it('next() hands out each request once, before or after it came', async () => {
    const first = upstream.next()
    await post('1')
    await post('2')
    expect((await first).json()).toBe(1)
    expect((await upstream.next()).json()).toBe(2)
  })

  it('aborted resolves when the client goes away during a hang', async () => {
    const until = gate()
    upstream.script(hang(until))
    const leaving = new AbortController()
    const asked = post('{}', { signal: leaving.signal }).catch((error: Error) => error.name)
    await until.reached
    const [request] = upstream.requests
    leaving.abort()
    expect(await request?.aborted).toBeGreaterThan(0)
    expect(await request?.ended).toBe('aborted')
    expect(await asked).toBe('AbortError')
  })

  it('aborted resolves when the client goes away inside its body', async () => {
    const socket = connect(upstream.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: x\r\nX-Part: a\r\nx-part: b\r\ncontent-length: 10\r\n\r\nhalf')
    const request = await upstream.next()
    socket.destroy()
    expect(await request.ended).toBe('aborted')
    expect(request.headers['x-part']).toBe('a, b')
  })

  it('are read no further than their headers while the body is held, and may be answered before it came', async () => {
    const holdBody = gate()
    upstream.script(answer({ status: 413, body: 'Too much' }), { holdBody, early: true })
    const socket = connect({ port: upstream.port, host: '127.0.0.1', noDelay: true })
    const answered = once(socket, 'data')
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n')
    await holdBody.reached
    socket.write('body')
    expect(String((await answered)[0])).toContain('413')
    // Round trips on another connection: what could be read would have been read by now.
    upstream.script(json({}))
    for (let times = 0; times < 3; times++) await (await post('{}')).text()
    const [request] = upstream.requests
    expect(request?.body).toHaveLength(0)
    holdBody.open()
    await request?.received
    expect(request?.body).toHaveLength(4)
    socket.destroy()
  })
})

describe('answers', () => {
  it('carry status, headers, repeated headers and body', async () => {
    upstream.script(json({ ok: true }, { status: 201, headers: PROVIDER_HEADERS }))
    const response = await post('{}')
    expect(response.status).toBe(201)
    expect(response.headers.getSetCookie()).toHaveLength(2)
    expect(await response.json()).toEqual({ ok: true })
  })

  it('of a stream arrive frame by frame, or byte by byte, with the same bytes in the end', async () => {
    const frames = 'data: {"a":"é"}\n\n: ping\r\n\r\ndata: [DONE]\n\n'
    for (const [split, least] of [
      ['frames', 3],
      ['bytes', 20],
    ] as const) {
      upstream.script(sse(frames, { split }))
      const response = await post('{}')
      const chunks: Uint8Array[] = []
      for await (const chunk of response.body ?? []) chunks.push(chunk)
      expect(Buffer.concat(chunks).toString()).toBe(frames)
      expect(chunks.length).toBeGreaterThanOrEqual(least)
    }
  })

  it('stall where they are told and go on when the gate opens', async () => {
    for (const at of ['start', 'headers', 0, 4, 7] as const) {
      const until = gate()
      upstream.script(sse('data: x', { stall: { at, gate: until } }))
      const asked = post('{}')
      await until.reached
      until.open()
      expect(await (await asked).text()).toBe('data: x')
    }
  })

  it('are cut before and inside the headers, in the body, inside a chunk and between two', async () => {
    const cut = async (options: Parameters<typeof sse>[1]) => {
      upstream.script(sse('data: 0123456789\n\n', options))
      const { text } = await raw(GET)
      return text.split('\r\n\r\n').slice(1).join('\r\n\r\n')
    }
    upstream.script(answer({ cut: { at: 'start' } }))
    expect((await raw(GET)).text).toBe('')
    upstream.script(json({}, { cut: { at: 'headers' } }))
    expect((await raw(GET)).text).toMatch(/^HTTP\/1.1 200 .*content-l$/s)
    expect(await cut({ cut: { at: 8 } })).toBe('12\r\ndata: 01')
    expect(await cut({ split: [8], cut: { at: 8 } })).toBe('8\r\ndata: 01\r\n')
    expect(await cut({ framing: 'length', cut: { at: 8 } })).toBe('data: 01')
    expect(await cut({ cut: { at: 18 } })).toBe('12\r\ndata: 0123456789\n\n\r\n')
    expect(await upstream.requests.at(-1)?.ended).toBe('cut')
  })

  it('are cut by a reset when asked: the client sees a broken connection', async () => {
    upstream.script(answer({ cut: { at: 'start', how: 'reset' } }))
    expect((await raw(GET)).reset).toBe(true)
  })

  it('come after 1xx answers', async () => {
    upstream.script(json({}, { interim: [103, 102] }))
    const { text } = await raw(GET)
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 103', 'HTTP/1.1 102', 'HTTP/1.1 200'])
  })

  it('end with the connection when framed so', async () => {
    upstream.script(answer({ framing: 'close', body: 'all' }))
    expect(await (await post('{}')).text()).toBe('all')
  })

  it('wait and pace only when a plan says so', async () => {
    const began = performance.now()
    upstream.script(sse('a\n\nb\n\n', { delayMs: 20, paceMs: 20 }))
    await (await post('{}')).text()
    expect(performance.now() - began).toBeGreaterThanOrEqual(38)
  })
})

describe('ready-made misbehaviour', () => {
  it('speaks the errors of its kind', async () => {
    upstream.script(openaiFailure(429))
    const limited = await post('{}')
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7'])
    expect(await limited.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } })
    upstream.script(anthropicFailure(529))
    expect(await (await post('{}')).json()).toMatchObject({ type: 'error', error: { type: 'overloaded_error' } })
    upstream.script(html(502))
    expect(await (await post('{}')).text()).toContain('<html>')
    upstream.script(redirect('http://127.0.0.1:1/'))
    expect((await post('{}')).headers.get('location')).toBe('http://127.0.0.1:1/')
  })

  it('is empty, truncated or no HTTP at all', async () => {
    upstream.script(empty())
    expect(await (await post('{}')).text()).toBe('')
    upstream.script(truncated('{"a":1}'))
    await expect((await post('{}')).text()).rejects.toThrow()
    upstream.script(garbage())
    await expect(post('{}')).rejects.toThrow()
  })

  it('is huge without holding it, and stops making more when the client leaves', async () => {
    upstream.script(huge(1024 * 1024 * 1024))
    const response = await post('{}')
    const reader = response.body?.getReader()
    let read = 0
    while (read < 2_000_000) read += (await reader?.read())?.value?.length ?? Infinity
    await reader?.cancel()
    expect(await upstream.requests[0]?.ended).toBe('aborted')
  })

  it('is a gzip bomb', async () => {
    upstream.script(gzipBomb(256 * 1024 * 1024))
    const { text } = await raw(GET)
    expect(text).toContain('content-encoding: gzip')
    expect(text.length).toBeLessThan(1_000_000)
  })

  it('comes in turn', async () => {
    upstream.script(inTurn(openaiFailure(500), json({ ok: true })))
    expect([(await post('{}')).status, (await post('{}')).status, (await post('{}')).status]).toEqual([500, 200, 200])
  })
})

describe('openaiProvider', () => {
  const ask = (body: object, path = chat) =>
    fetch(upstream.url + path, { method: 'POST', body: JSON.stringify({ model: 'gpt-4o-mini', ...body }) })

  it('bills what it answers, as JSON and as a stream', async () => {
    const books: BookEntry[] = []
    upstream.script(openaiProvider({ books }))
    const answered = await (await ask({ messages: [] })).json()
    expect(answered.usage).toMatchObject({ prompt_tokens: books[0]?.promptTokens, completion_tokens: 4 })
    const text = await (await ask({ messages: [], stream: true, stream_options: { include_usage: true } })).text()
    const frames = text
      .trim()
      .split('\n\n')
      .map((frame) => frame.slice('data: '.length))
    expect(frames.at(-1)).toBe('[DONE]')
    expect(JSON.parse(frames.at(-2) ?? '')).toMatchObject({
      choices: [],
      usage: { prompt_tokens: books[1]?.promptTokens },
    })
    expect(await (await ask({ messages: [], stream: true })).text()).not.toContain('usage')
  })

  it('embeds in floats and base64', async () => {
    upstream.script(openaiProvider())
    const floats = await (await ask({ input: ['a', 'b'] }, '/v1/embeddings')).json()
    expect(Math.hypot(...floats.data[1].embedding)).toBeCloseTo(1, 6)
    const packed = await (await ask({ input: 'a', encoding_format: 'base64' }, '/v1/embeddings')).json()
    expect(Buffer.from(packed.data[0].embedding, 'base64')).toHaveLength(32)
  })
})
