import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenOverload, openOverload } from '../../server/overload.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { HELLO, PROJECT_KEY, post, REVOKED_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { rawClient, rawHead } from '../helpers/raw-client.ts'
import { type Chooser, type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { html, openaiFailure } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { answer, gate, type Plan } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let app: TestApp
let door: OpenOverload
beforeEach(async () => {
  const log = { info() {}, warn() {} }
  door = openOverload({ clock: systemClock, log, memory: { limitBytes: 1024 ** 3, inUse: () => 0 } })
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url, deps: { overload: door } })
})
afterEach(async () => {
  door.close()
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const FRAME = 'data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
const EVENTS = { 'content-type': 'text/event-stream' }

const PROVIDERS: readonly [name: string, what: Plan | Chooser][] = [
  ['answers', openaiProvider()],
  ['refuses with 400', openaiFailure(400)],
  ['refuses with 401', openaiFailure(401)],
  ['fails with 500', openaiFailure(500)],
  ['answers nonsense', html()],
  ['closes the connection', answer({ cut: { at: 'start' } })],
  ['breaks off in the middle', answer({ headers: EVENTS, body: FRAME.repeat(3), cut: { at: 100 } })],
  ['ends a stream without its end', answer({ headers: EVENTS, body: FRAME })],
]

describe.each([true, false])('however a call ends its place is free again (stream: %s)', (stream) => {
  it.each(PROVIDERS)('the provider %s', async (_name, what) => {
    upstream.script(what)
    const response = await app.fetch(post(CHAT, { ...HELLO, stream }))
    await response.text()
    expect(door.state).toMatchObject({ inFlight: 0, refused: 0 })
  })

  it('the caller leaves', async () => {
    const stood = gate()
    upstream.script(answer({ headers: EVENTS, body: FRAME, stall: { at: 'headers', gate: stood } }))
    const client = await rawClient((await app.listen()).port)
    const body = JSON.stringify({ ...HELLO, stream })
    const head = { authorization: `Bearer ${PROJECT_KEY}`, 'content-length': String(body.length) }
    await client.send(rawHead('POST', CHAT, head) + body)
    await stood.reached
    expect(door.state.inFlight).toBe(1)
    client.leave()
    await app.settled(1)
    expect(door.state.inFlight).toBe(0)
    stood.open()
  })

  it.each([
    '',
    'no json',
    '{}',
    '{"model":"none/such","messages":[{"role":"user","content":"Hi"}]}',
    '{"model":"gpt-4o"}',
  ])('the request is no good: %s', async (body) => {
    upstream.script(openaiProvider())
    for (const path of [CHAT, '/v1/completions', '/v1/messages', '/v1/responses', '/v1/embeddings', '/v1/simulate']) {
      const response = await app.fetch(post(path, body))
      await response.text()
      expect([path, door.state.inFlight]).toEqual([path, 0])
    }
  })

  it('the key is no good', async () => {
    const response = await app.fetch(post(CHAT, { ...HELLO, stream }, { authorization: `Bearer ${REVOKED_KEY}` }))
    expect(response.status).toBe(401)
    expect(door.state.inFlight).toBe(0)
  })
})

describe('a call that finds no place', () => {
  beforeEach(async () => {
    await app.close()
    app = testApp({ upstreamUrl: upstream.url, deps: { overload: { enter: () => null, retryAfterS: () => 7 } } })
  })

  it.each([CHAT, '/v1/messages', '/v1/responses', '/v1/embeddings', '/v1/openai/chat/completions'])(
    'gets 503 with retry-after in the face of its dialect, and nothing else happens: %s',
    async (path) => {
      const response = await app.fetch(post(path, HELLO))
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('7')
      expect(response.headers.get('x-should-retry')).toBeNull()
      expect((await response.json()).error.code).toBe('service_unavailable')
      expect(app.records).toHaveLength(0)
      expect(upstream.requests).toHaveLength(0)
    },
  )

  it('is told before its body is read', async () => {
    const client = await rawClient((await app.listen()).port)
    const head = { authorization: `Bearer ${PROJECT_KEY}`, 'content-length': '1000000' }
    await client.send(rawHead('POST', CHAT, head))
    expect(await client.until('}}')).toMatch(/^HTTP\/1\.1 503 /)
    client.leave()
  })
})
