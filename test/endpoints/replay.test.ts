import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { responseStore } from '../../db/stores/responses.ts'
import { createVault } from '../../db/vault.ts'
import { openEmbedded, type TestDatabase } from '../db/engines.ts'
import { HELLO, post } from '../helpers/app.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer } from '../helpers/upstream-plan.ts'
import { parrot } from './responses-kit.ts'

interface Project {
  readonly id: string
  readonly secret: string
}

let database: TestDatabase
let upstream: ScriptedUpstream
let on: ConsoleApp
let admin: As
let ours: Project

beforeAll(async () => {
  database = await openEmbedded()
  upstream = await startUpstream()
  const responses = responseStore(database.database.db, createVault(['a master secret for these tests']))
  on = await consoleApp({ database, upstreamUrl: upstream.url, deps: { responses } })
  admin = (await on.signedIn(await on.organization(), 'admin')).as
  ours = await project({ days: 7, redact: false, max_bytes: 4096 })
}, 120_000)
afterAll(async () => {
  await on?.close()
  await upstream?.close()
  await database?.dispose()
})

async function project(body_logging: object | null): Promise<Project> {
  const { body } = await on.call('POST /api/projects', admin, { name: 'P', settings: { body_logging } })
  const { id, api_key } = body as { id: string; api_key: string }
  return { id, secret: api_key }
}

function send(path: string, body: unknown, of = ours, headers: Record<string, string> = {}): Promise<Response> {
  return on.app.fetch(post(path, body, { authorization: `Bearer ${of.secret}`, ...headers }))
}

/** A call that is kept, and its id. */
async function made(path: string, body: unknown, of = ours): Promise<{ readonly id: string; readonly text: string }> {
  const response = await send(path, body, of)
  return { text: await response.text(), id: response.headers.get('x-request-id')! }
}

const replay = (id: string, body: unknown = {}, of = ours) => send(`/v1/requests/${id}/replay`, body, of)

const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string; param: string | null; message: string } }).error

const chat = (model: string, stream = false) => ({ ...HELLO, model, stream })
const contents = [{ role: 'user', parts: [{ text: 'Hello!' }] }]
const generate = (method: string) => `/v1beta/models/sandbox/chat:${method}`

const CALLS: readonly (readonly [endpoint: string, path: string, body: object])[] = [
  ['chat.completions', '/v1/chat/completions', chat('sandbox/chat')],
  ['chat.completions', '/v1/chat/completions', chat('sandbox/chat', true)],
  ['completions', '/v1/completions', { model: 'sandbox/chat', prompt: 'Hello!' }],
  ['messages', '/v1/messages', { ...chat('sandbox/chat'), max_tokens: 50 }],
  ['messages', '/v1/messages', { ...chat('sandbox/chat', true), max_tokens: 50 }],
  ['messages.count_tokens', '/v1/messages/count_tokens', chat('sandbox/chat')],
  ['responses', '/v1/responses', { model: 'sandbox/chat', input: 'Hello!' }],
  ['responses', '/v1/responses', { model: 'sandbox/chat', input: 'Hello!', stream: true }],
  ['generate_content', generate('generateContent'), { contents }],
  ['generate_content', generate('streamGenerateContent'), { contents }],
  ['generate_content', `${generate('streamGenerateContent')}?alt=sse`, { contents }],
]

describe('a replay', () => {
  it.each(CALLS)(
    'of %s at %s is a new call of it on another model, answered as the endpoint answers: %j',
    async (endpoint, path, body) => {
      const first = await send(path, body)
      expect(first.status).toBe(200)
      await first.text()
      const id = first.headers.get('x-request-id')!
      const again = await replay(id, { model: 'sandbox/echo' })
      const text = await again.text()
      expect(again.status, text).toBe(200)
      expect(again.headers.get('x-watchllm-replay-of')).toBe(id)
      expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'))
      const newId = again.headers.get('x-request-id')!
      expect(newId).not.toBe(id)
      const counts = endpoint === 'messages.count_tokens'
      if (!counts) expect(text).toContain('Hello')
      const record = on.app.records.find((one) => one.id === newId)!
      expect(record).toMatchObject({ endpoint, modelRequested: 'sandbox/echo', projectId: ours.id, outcome: 'done' })
      // A logged call like any other: it can be replayed as well.
      const third = await replay(newId)
      expect([third.status, third.headers.get('x-watchllm-replay-of')]).toEqual([200, newId])
      await third.text()
    },
  )

  it('changes nothing of the request but its model', async () => {
    upstream.script(parrot())
    const odd = '{ "messages" : [{"role":"user","content":"\\u0048i"}],\n "model":"gpt-4o-mini" , "x_odd": 1.50}'
    const { id } = await made('/v1/chat/completions', odd)
    expect((await replay(id, { model: 'gpt-4o' })).status).toBe(200)
    const [before, after] = upstream.requests.slice(-2).map(({ body }) => Buffer.from(body).toString())
    expect(after).toBe(before!.replace('gpt-4o-mini', 'gpt-4o'))
    expect((await replay(id)).status).toBe(200)
    expect(Buffer.from(upstream.requests.at(-1)!.body).toString()).toBe(before)
    expect((await replay(id, '')).status).toBe(200)
  })

  it('on another model goes to that model’s provider, on the same to the one that was named', async () => {
    const { id } = await made('/v1/openai/chat/completions', chat('gpt-4o-mini'))
    const count = upstream.requests.length
    const same = await replay(id)
    expect([same.status, same.headers.get('x-watchllm-route')]).toEqual([200, 'path'])
    expect(upstream.requests).toHaveLength(count + 1)
    const other = await replay(id, { model: 'sandbox/echo' })
    expect([other.status, other.headers.get('x-watchllm-provider')]).toEqual([200, 'sandbox'])
    expect(upstream.requests).toHaveLength(count + 1)
  })

  it('that fails tells so as the endpoint does, and of what it was a replay', async () => {
    const { id } = await made('/v1/messages', { ...chat('sandbox/chat'), max_tokens: 5 })
    const failed = await replay(id, { model: 'nobody-knows-me' })
    expect([failed.status, failed.headers.get('x-watchllm-replay-of')]).toEqual([404, id])
    expect(await failed.json()).toMatchObject({ type: 'error', error: { code: 'invalid_model' } })
  })
})

describe('nothing is replayed', () => {
  const refused = async (response: Response, status: number, code: string, words: string) => {
    expect(response.status).toBe(status)
    expect(response.headers.get('x-watchllm-replay-of')).toBeNull()
    const error = await errorOf(response)
    expect(error.code).toBe(code)
    expect(error.message).toContain(words)
  }

  it('of a call that is another project’s, that is not kept, or that never was', async () => {
    const { id } = await made('/v1/chat/completions', chat('sandbox/chat'))
    const off = await project(null)
    const unkept = await made('/v1/chat/completions', chat('sandbox/chat'), off)
    const foreign = await project({ days: 1, redact: false, max_bytes: 4096 })
    for (const [of, what] of [
      [foreign, id],
      [off, unkept.id],
      [ours, 'req_nobody'],
    ] as const) {
      await refused(await replay(what, {}, of), 404, 'not_found', 'Nothing is kept of a call')
    }
  })

  it('whose request was cut', async () => {
    const messages = [{ role: 'user', content: 'long '.repeat(2000) }]
    const { id } = await made('/v1/chat/completions', { model: 'sandbox/chat', messages })
    await refused(await replay(id), 400, 'invalid_request', 'too long')
  })

  it('whose request was redacted; one in which there was nothing to redact is', async () => {
    const of = await project({ days: 1, redact: true, max_bytes: 4096 })
    const messages = [{ role: 'user', content: 'I am bob@example.com' }]
    const personal = await made('/v1/chat/completions', { model: 'sandbox/chat', messages }, of)
    await refused(await replay(personal.id, {}, of), 400, 'invalid_request', 'redacted')
    const harmless = await made('/v1/chat/completions', chat('sandbox/chat'), of)
    expect((await replay(harmless.id, {}, of)).status).toBe(200)
  })

  it('whose request was no JSON text', async () => {
    upstream.script(answer({ body: '{"text":"hi"}', headers: { 'content-type': 'application/json' } }))
    const form = new FormData()
    form.set('model', 'whisper-1')
    form.set('file', new Blob([Uint8Array.from({ length: 200 }, (_, at) => at + 50)]), 'a.wav')
    const headers = { authorization: `Bearer ${ours.secret}` }
    const request = new Request('http://gateway.test/v1/audio/transcriptions', { method: 'POST', headers, body: form })
    const response = await on.app.fetch(request)
    expect(response.status).toBe(200)
    const id = response.headers.get('x-request-id')!
    await refused(await replay(id), 400, 'invalid_request', 'audio.transcriptions')
    const broken = await made('/v1/chat/completions', '{"model":')
    await refused(await replay(broken.id), 400, 'invalid_request', 'not valid JSON')
  })

  it('that would add to a conversation', async () => {
    const { id } = await made('/v1/responses', { model: 'sandbox/chat', input: 'Hi', conversation: 'conv_x' })
    await refused(await replay(id), 400, 'invalid_request', 'conversation')
  })

  it('by whoever has no project key of it', async () => {
    const { id } = await made('/v1/chat/completions', chat('sandbox/chat'))
    const test = await on.key(ours.id, { kind: 'test' })
    await refused(await replay(id, {}, { ...ours, secret: test.secret }), 403, 'insufficient_permissions', 'Test keys')
    const stranger = { ...ours, secret: `lgw_proj_${'x'.repeat(43)}` }
    await refused(await replay(id, {}, stranger), 401, 'invalid_api_key', 'unknown')
  })

  it.each([
    ['another member', { model: 'sandbox/echo', stream: true }, 'stream'],
    ['a model that is no text', { model: 7 }, 'model'],
    ['an empty model', { model: '' }, 'model'],
    ['a very long model', { model: 'm'.repeat(300) }, 'model'],
    ['a list', '[]', null],
  ])('with %s', async (_name, order, param) => {
    const { id } = await made('/v1/chat/completions', chat('sandbox/chat'))
    const count = on.app.records.length
    const response = await replay(id, order)
    expect(response.status).toBe(400)
    expect(await errorOf(response)).toMatchObject({ code: 'invalid_request', param })
    expect(on.app.records).toHaveLength(count)
  })

  it('by a key that may not use the endpoint', async () => {
    const { id } = await made('/v1/messages', { ...chat('sandbox/chat'), max_tokens: 5 })
    const bound = await on.key(ours.id, { settings: { allowedEndpoints: ['chat.completions'] } })
    const response = await replay(id, {}, { ...ours, secret: bound.secret })
    expect(response.status).toBe(403)
  })
})
