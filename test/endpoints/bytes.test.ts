import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { rawClient, rawPost } from '../helpers/raw-client.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer, gate, type Plan } from '../helpers/upstream-plan.ts'

/** Sound and files go out as they come: of any size, and never cut without the caller seeing it. */

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const SPEECH = '/v1/audio/speech'
const ASKED = { model: 'gpt-4o-mini-tts', voice: 'alloy', input: 'Hi' }
const KEY = { authorization: `Bearer ${PROJECT_KEY}` }
const HEADERS = { 'content-type': 'audio/mpeg' }
const MB = 1024 * 1024
const PIECE = Buffer.from(Array.from({ length: 256 * 1024 }, (_, at) => (at * 31 + (at >> 8)) & 0xff))

/** Made as fast as it is read; `made` counts what was. */
function flood(count: number, options: object = {}): { plan: Plan; made: () => number } {
  let made = 0
  const body = function* () {
    for (let pieces = 0; pieces < count; pieces++) {
      made += PIECE.length
      yield PIECE
    }
  }
  return { plan: answer({ headers: HEADERS, body, ...options }), made: () => made }
}

async function ask(headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const { url } = await app.listen()
  const head = { ...KEY, 'content-type': 'application/json', ...headers }
  const sent = request(`${url}${SPEECH}`, { method: 'POST', headers: head })
  sent.end(JSON.stringify(ASKED))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

/** What came and whether that was said to be all. */
async function readAll(response: IncomingMessage): Promise<{ bytes: number; sum: string; isWhole: boolean }> {
  const hash = createHash('sha256')
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    hash.update(chunk)
  })
  const isWhole = await new Promise<boolean>((resolve) => {
    response.on('end', () => resolve(response.complete))
    response.on('error', () => resolve(false))
  })
  return { bytes, sum: hash.digest('hex'), isWhole }
}

function sumOf(count: number): string {
  const hash = createHash('sha256')
  for (let pieces = 0; pieces < count; pieces++) hash.update(PIECE)
  return hash.digest('hex')
}

/** Resolves when the provider has made nothing more for a while: somebody told it to wait. */
async function standstill(made: () => number): Promise<number> {
  let before = -1
  while (made() !== before || made() === 0) {
    before = made()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  return before
}

describe('bytes', () => {
  it.each([
    ['chunks', {}, undefined],
    ['one length', { framing: 'length', declaredLength: 400 * PIECE.length }, String(400 * PIECE.length)],
  ])('of 100 MB in %s arrive, whole and in order, and are one call', async (_, framing, length) => {
    upstream.script(flood(400, framing).plan)
    const response = await ask()
    expect(response.headers['content-length']).toBe(length)
    expect(response.headers['transfer-encoding']).toBe(length === undefined ? 'chunked' : undefined)
    expect(response.headers['content-type']).toBe('audio/mpeg')
    expect(response.headers['x-content-type-options']).toBe('nosniff')
    expect(await readAll(response)).toEqual({ bytes: 400 * PIECE.length, sum: sumOf(400), isWhole: true })
    expect(app.records).toMatchObject([{ outcome: 'done', status: 200, usageSource: 'none', costPico: null }])
  })

  it.each([0, 1, 2, 3, 4])('of %i bytes one at a time are the provider’s', async (count) => {
    const body = Buffer.from([0, 255, 13, 10]).subarray(0, count)
    upstream.script(answer({ headers: HEADERS, body, framing: 'chunked', split: 'bytes' }))
    const response = await app.fetch(post(SPEECH, ASKED))
    expect(Buffer.from(await response.arrayBuffer())).toEqual(body)
    expect(app.records).toMatchObject([{ outcome: 'done' }])
  })

  it('reach the caller while the rest is made, and the last waits for the record', async () => {
    await app.close()
    let write = () => {}
    app = testApp({ upstreamUrl: upstream.url, written: (done) => (write = done) })
    const stood = gate()
    upstream.script(
      answer({ headers: HEADERS, body: 'first second', framing: 'chunked', split: [6], stall: { at: 6, gate: stood } }),
    )
    const response = await app.fetch(post(SPEECH, ASKED))
    const reader = response.body!.getReader()
    const first = await reader.read()
    await stood.reached
    expect(Buffer.from(first.value!).toString()).toBe('first')
    expect(app.records).toHaveLength(0)
    stood.open()
    await app.settled(1)
    let text = 'first'
    while (text.length < 11) text += Buffer.from((await reader.read()).value!).toString()
    expect(text).toBe('first secon')
    const rest = reader.read()
    write()
    expect(Buffer.from((await rest).value!).toString()).toBe('d')
    expect((await reader.read()).done).toBe(true)
  })

  it('hold back the provider while the caller reads slowly', async () => {
    const { plan, made } = flood(200)
    upstream.script(plan)
    const client = await rawClient((await app.listen()).port, { read: false })
    client.socket.pause()
    await client.send(rawPost(SPEECH, JSON.stringify(ASKED), { ...KEY, connection: 'close' }))
    expect(await standstill(made)).toBeLessThan(20 * MB)
    let read = 0
    client.socket.on('data', (bytes) => {
      read += bytes.length
    })
    client.socket.resume()
    await client.closed
    expect(read).toBeGreaterThan(200 * PIECE.length)
    expect(app.records).toMatchObject([{ outcome: 'done' }])
  })

  it('are given up at the provider when the caller leaves, and settled once', async () => {
    const { plan, made } = flood(400)
    upstream.script(plan)
    const client = await rawClient((await app.listen()).port, { read: false })
    client.socket.pause()
    await client.send(rawPost(SPEECH, JSON.stringify(ASKED), KEY))
    await standstill(made)
    client.leave()
    expect(await app.settled(1)).toMatchObject({ outcome: 'aborted', costPico: null })
    expect(await upstream.requests[0]!.ended).toBe('aborted')
    expect(app.records).toHaveLength(1)
  })
})

describe('bytes that break off', () => {
  const body = Buffer.concat([PIECE, PIECE])
  const cuts: [name: string, plan: () => Plan][] = [
    ['of a known length', () => answer({ headers: HEADERS, body, cut: { at: PIECE.length + 5 } })],
    [
      'in chunks',
      () => answer({ headers: HEADERS, body, framing: 'chunked', cut: { at: PIECE.length + 5, how: 'reset' } }),
    ],
  ]

  it.each(cuts)('break the caller’s connection: %s', async (_, plan) => {
    upstream.script(plan())
    const { isWhole, bytes } = await readAll(await ask())
    expect(isWhole).toBe(false)
    expect(bytes).toBeLessThan(body.length)
    expect(await app.settled(1)).toMatchObject({ outcome: 'cut', status: 200, errorCode: 'provider_error' })
  })

  it.each(cuts)('break the body of app.fetch: %s', async (_, plan) => {
    upstream.script(plan())
    const response = await app.fetch(post(SPEECH, ASKED))
    await expect(response.arrayBuffer()).rejects.toThrow()
    expect(app.records).toMatchObject([{ outcome: 'cut' }])
  })

  it('before the first of them are an error like any other', async () => {
    upstream.script(answer({ headers: HEADERS, body, cut: { at: 0 } }))
    const response = await app.fetch(post(SPEECH, ASKED))
    expect([response.status, (await response.json()).error.code]).toEqual([502, 'provider_error'])
    expect(app.records).toMatchObject([{ outcome: 'error', costPico: 0 }])
  })
})

it('a connection serves the next call behind bytes of a known length', async () => {
  upstream.script(answer({ headers: HEADERS, body: 'sound' }))
  const client = await rawClient((await app.listen()).port)
  const one = rawPost(SPEECH, JSON.stringify(ASKED), KEY)
  await client.send(one + rawPost(SPEECH, JSON.stringify(ASKED), { ...KEY, connection: 'close' }))
  await client.closed
  const answers = client.text.split('HTTP/1.1 200 OK').slice(1)
  expect(answers.map((text) => text.endsWith('\r\n\r\nsound') && /content-length: 5\r\n/.test(text))).toEqual([
    true,
    true,
  ])
})
