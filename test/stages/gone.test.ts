import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type RawClient, rawClient, rawHead, rawPost } from '../helpers/raw-client.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { answer, type Gate, gate, type Plan } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let app: TestApp
let stood: Gate
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url })
  stood = gate()
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const STREAM = { ...HELLO, stream: true }
const KEY = { authorization: `Bearer ${PROJECT_KEY}` }
const FRAME = 'data: {"choices":[{"index":0,"delta":{"content":"Hello there, caller"},"finish_reason":null}]}\n\n'
const BODY = '{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'

/** Lets everything that is under way in this process arrive. */
async function quiet(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
}

/** A caller who can leave, by way of fetch or of a socket. */
interface Caller {
  /** Resolves when some of the answer has come. */
  readonly some: Promise<unknown>
  leave(): void
}
const callers: [name: string, call: (body: object) => Promise<Caller>][] = [
  [
    'app.fetch',
    async (body) => {
      const leaving = new AbortController()
      const answered = app.fetch(new Request(post(CHAT, body), { signal: leaving.signal }))
      const some = answered.then(async (response) => {
        const reader = response.body!.getReader()
        await reader.read()
      })
      return { some, leave: () => leaving.abort() }
    },
  ],
  [
    'a socket',
    async (body) => {
      const client = await rawClient((await app.listen()).port)
      await client.send(rawPost(CHAT, JSON.stringify(body), KEY))
      return { some: client.until('\r\n\r\n').then(() => client.until('data: ')), leave: () => client.leave() }
    },
  ],
  [
    'a socket that is reset',
    async (body) => {
      const client = await rawClient((await app.listen()).port)
      await client.send(rawPost(CHAT, JSON.stringify(body), KEY))
      return { some: client.until('data: '), leave: () => client.socket.resetAndDestroy() }
    },
  ],
]

describe.each(callers)('a caller by %s who leaves', (_way, call) => {
  const before: [name: string, body: object, plan: (stood: Gate) => Plan][] = [
    ['before the headers of a whole answer', HELLO, (at) => json(BODY, { stall: { at: 'start', gate: at } })],
    ['before the headers of a stream', STREAM, (at) => sse(FRAME, { stall: { at: 'start', gate: at } })],
    ['behind the headers of a whole answer', HELLO, (at) => json(BODY, { stall: { at: 'headers', gate: at } })],
    ['inside a whole answer', HELLO, (at) => json(BODY, { stall: { at: 30, gate: at } })],
    ['before the first byte of a stream', STREAM, (at) => sse(FRAME, { stall: { at: 'headers', gate: at } })],
    ['inside a refusal', HELLO, (at) => answer({ status: 500, body: BODY, stall: { at: 30, gate: at } })],
  ]

  it.each(before)(
    '%s: the provider is let go at once; one record, aborted, nothing billed',
    async (_name, body, plan) => {
      upstream.script(plan(stood))
      const caller = await call(body)
      await stood.reached
      const settled = app.settled()
      caller.leave()
      expect(await upstream.requests[0]!.ended).toBe('aborted')
      expect(await settled).toMatchObject({
        outcome: 'aborted',
        status: 499,
        errorCode: null,
        usageSource: 'none',
        costPico: 0,
        provider: 'openai',
      })
      stood.open()
      await quiet()
      expect(app.records).toHaveLength(1)
    },
  )

  it('in the middle of a stream: the provider is let go at once; one record, aborted, billed for what came', async () => {
    upstream.script(sse(FRAME + FRAME, { stall: { at: FRAME.length, gate: stood } }))
    const caller = await call(STREAM)
    await caller.some
    const settled = app.settled()
    caller.leave()
    expect(await upstream.requests[0]!.ended).toBe('aborted')
    const record = await settled
    expect(record).toMatchObject({ outcome: 'aborted', status: 200, errorCode: null, usageSource: 'estimated' })
    expect(record.usage.output).toBeGreaterThanOrEqual(3)
    expect(record.usage.output).toBeLessThanOrEqual(6)
    expect(record.costPico).toBeGreaterThan(0)
    stood.open()
    await quiet()
    expect(app.records).toHaveLength(1)
  })

  it('after the end of a stream: it stays done', async () => {
    upstream.script(openaiProvider())
    const caller = await call(STREAM)
    await app.settled(1)
    await caller.some
    await quiet()
    caller.leave()
    await quiet()
    expect(app.records).toMatchObject([{ outcome: 'done', status: 200, usageSource: 'provider' }])
    expect(await upstream.requests[0]!.ended).toBe('sent')
  })
})

describe('a caller who leaves inside its own body', () => {
  let client: RawClient
  beforeEach(async () => {
    client = await rawClient((await app.listen()).port)
  })

  it.each(['close', 'reset'])('by %s: no provider is asked; one record, aborted', async (how) => {
    await client.send(rawHead('POST', CHAT, { ...KEY, 'content-length': '1000' }))
    await client.send('{"model":"gpt-4o-mini"')
    const settled = app.settled()
    if (how === 'reset') client.socket.resetAndDestroy()
    else client.leave()
    expect(await settled).toMatchObject({ outcome: 'aborted', status: 499, errorCode: null, provider: null })
    await quiet()
    expect(upstream.requests).toHaveLength(0)
    expect(app.records).toHaveLength(1)
  })

  it('with an unknown key leaves no record at all', async () => {
    await client.send(
      rawHead('POST', CHAT, { authorization: 'Bearer lgw_proj_ffffffffffffffffff', 'content-length': '9' }),
    )
    client.leave()
    await quiet()
    expect(app.records).toHaveLength(0)
  })
})

it('a caller who closes its own half of the connection is taken for gone, as node and nginx do', async () => {
  upstream.script(json(BODY, { stall: { at: 'start', gate: stood } }))
  const client = await rawClient((await app.listen()).port)
  await client.send(rawPost(CHAT, JSON.stringify(HELLO), KEY))
  await stood.reached
  client.socket.end()
  expect(await app.settled(1)).toMatchObject({ outcome: 'aborted', status: 499 })
  expect(await upstream.requests[0]!.ended).toBe('aborted')
})

it('the second caller of a connection is not taken for the first', async () => {
  const client = await rawClient((await app.listen()).port)
  upstream.script(openaiProvider())
  await client.send(rawPost(CHAT, JSON.stringify(STREAM), KEY))
  await client.until('[DONE]')
  upstream.script(sse(FRAME + FRAME, { stall: { at: FRAME.length, gate: stood } }))
  await client.send(rawPost(CHAT, JSON.stringify(STREAM), KEY))
  await client.until('Hello there')
  client.leave()
  expect(await app.settled(2)).toMatchObject({ outcome: 'aborted' })
  expect(app.records[0]).toMatchObject({ outcome: 'done' })
})

it('a caller of the sandbox who leaves ends it as well', async () => {
  const client = await rawClient((await app.listen()).port)
  const body = { ...STREAM, model: 'sandbox/slow', max_tokens: 4000 }
  await client.send(rawPost(CHAT, JSON.stringify(body), { authorization: `Bearer ${TEST_KEY}` }))
  await client.until('data: ')
  client.leave()
  expect((await app.settled(1)).outcome).toMatch(/aborted|done/)
})

it('a hundred callers who leave at once leave a hundred records and keep no provider busy', async () => {
  upstream.script(sse(FRAME + FRAME, { stall: { at: FRAME.length, gate: stood } }))
  const { port } = await app.listen()
  const clients = await Promise.all(Array.from({ length: 100 }, () => rawClient(port)))
  await Promise.all(clients.map((client) => client.send(rawPost(CHAT, JSON.stringify(STREAM), KEY))))
  await Promise.all(clients.map((client) => client.until('Hello there')))
  for (const client of clients) client.leave()
  await app.settled(100)
  const endings = await Promise.all(upstream.requests.map(({ ended }) => ended))
  await quiet()
  expect(new Set(endings)).toEqual(new Set(['aborted']))
  expect(upstream.requests).toHaveLength(100)
  expect(app.records).toHaveLength(100)
  expect(new Set(app.records.map(({ id }) => id)).size).toBe(100)
  expect(app.records.every(({ outcome }) => outcome === 'aborted')).toBe(true)
})
