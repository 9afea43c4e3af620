import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeptCall } from '../../db/model/call-bodies.ts'
import { responseStore } from '../../db/stores/responses.ts'
import { createVault } from '../../db/vault.ts'
import { openEmbedded, type TestDatabase } from '../db/engines.ts'
import { HELLO, post } from '../helpers/app.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer } from '../helpers/upstream-plan.ts'

let database: TestDatabase
let upstream: ScriptedUpstream
let on: ConsoleApp
let admin: As
let on7: Project
let off: Project

interface Project {
  readonly id: string
  readonly secret: string
}

beforeAll(async () => {
  database = await openEmbedded()
  upstream = await startUpstream()
  const responses = responseStore(database.database.db, createVault(['a master secret for these tests']))
  on = await consoleApp({ database, upstreamUrl: upstream.url, deps: { responses } })
  admin = (await on.signedIn(await on.organization(), 'admin')).as
  on7 = await project({ days: 7, redact: false, max_bytes: 100_000 })
  off = await project(null)
}, 120_000)
afterAll(async () => {
  await on?.close()
  await upstream?.close()
  await database?.dispose()
})

async function project(body_logging: object | null): Promise<Project> {
  const { status, body } = await on.call('POST /api/projects', admin, { name: 'P', settings: { body_logging } })
  expect(status).toBe(200)
  const { id, api_key } = body as { id: string; api_key: string }
  return { id, secret: api_key }
}

function send(path: string, body: unknown, of = on7, headers: Record<string, string> = {}): Promise<Response> {
  return on.app.fetch(post(path, body, { authorization: `Bearer ${of.secret}`, ...headers }))
}

async function keptOf(response: Response, of = on7): Promise<KeptCall | null> {
  return on.deps.bodies!.find(of.id, response.headers.get('x-request-id')!)
}

const chat = (model: string, stream = false) => ({ ...HELLO, model, stream })
const contents = [{ role: 'user', parts: [{ text: 'Hello!' }] }]
const generate = (method: string) => `/v1beta/models/sandbox/chat:${method}`

const CALLS: readonly (readonly [endpoint: string, path: string, body: object, stream: boolean])[] = [
  ['chat.completions', '/v1/chat/completions', chat('sandbox/chat'), false],
  ['chat.completions', '/v1/chat/completions', chat('sandbox/chat', true), true],
  ['completions', '/v1/completions', { model: 'sandbox/chat', prompt: 'Hello' }, false],
  ['completions', '/v1/completions', { model: 'sandbox/chat', prompt: 'Hello', stream: true }, true],
  ['embeddings', '/v1/embeddings', { model: 'sandbox/embedding', input: 'Hello' }, false],
  ['messages', '/v1/messages', { ...chat('sandbox/chat'), max_tokens: 50 }, false],
  ['messages', '/v1/messages', { ...chat('sandbox/chat', true), max_tokens: 50 }, true],
  ['responses', '/v1/responses', { model: 'sandbox/chat', input: 'Hello' }, false],
  ['responses', '/v1/responses', { model: 'sandbox/chat', input: 'Hello', stream: true }, true],
  ['generate_content', generate('generateContent'), { contents }, false],
  ['generate_content', generate('streamGenerateContent'), { contents }, true],
  ['generate_content', `${generate('streamGenerateContent')}?alt=sse`, { contents }, true],
]

describe('a project that has bodies logged', () => {
  it.each(CALLS)('has those of %s at %s kept as they were sent: %j', async (endpoint, path, body, stream) => {
    const sent = JSON.stringify(body, null, 1)
    const response = await send(path, sent)
    expect(response.status).toBe(200)
    const got = await response.text()
    const kept = (await keptOf(response))!
    expect(kept).toMatchObject({ endpoint, stream, model: (body as { model?: string }).model ?? 'sandbox/chat' })
    expect(kept.request).toEqual({
      ...{ text: sent, contentType: 'application/json', bytes: sent.length, truncated: false, redacted: false },
    })
    expect(kept.answer.text).toBe(got)
    expect(kept.answer.contentType).toBe(response.headers.get('content-type'))
    expect(kept.expiresAtMs - kept.createdAtMs).toBe(7 * 86_400_000)
  })

  it('keeps what a response goes on from as its caller said it, not all that a model was told', async () => {
    const first = await send('/v1/responses', { model: 'sandbox/chat', input: 'My secret is 42' })
    const { id } = (await first.json()) as { id: string }
    const next = await send('/v1/responses', { model: 'sandbox/chat', input: 'Well?', previous_response_id: id })
    expect(next.status).toBe(200)
    await next.text()
    const kept = (await keptOf(next))!
    expect(JSON.parse(kept.request.text!)).toMatchObject({ input: 'Well?', previous_response_id: id })
    expect(kept.request.text).not.toContain('42')
  })

  it.each([
    ['a model that nobody knows', JSON.stringify(chat('nobody-knows-me')), 404],
    ['no JSON', '{"model": "sandbox/chat", "messages": [', 400],
    ['a provider’s failure', JSON.stringify(chat('sandbox/error-500')), 502],
  ])('keeps a call that fails, with the error that its caller got: %s', async (_name, sent, status) => {
    const response = await send('/v1/chat/completions', sent)
    expect(response.status).toBe(status)
    const got = await response.text()
    const kept = (await keptOf(response))!
    expect([kept.request.text, kept.answer.text]).toEqual([sent, got])
  })

  it('keeps what a caller got of a stream before it left', async () => {
    const response = await send('/v1/chat/completions', chat('sandbox/slow', true))
    const reader = response.body!.getReader()
    const first = Buffer.from((await reader.read()).value!).toString()
    await reader.cancel()
    const kept = (await keptOf(response))!
    expect(kept.answer.text!.startsWith(first)).toBe(true)
    expect(kept.answer.text).not.toContain('[DONE]')
  })

  it('keeps what was packed unpacked, and of sound only that it was there', async () => {
    const sent = JSON.stringify(chat('sandbox/chat'))
    const packed = await send('/v1/chat/completions', gzipSync(sent), on7, { 'content-encoding': 'gzip' })
    expect(packed.status).toBe(200)
    await packed.text()
    expect((await keptOf(packed))!.request).toMatchObject({ text: sent, bytes: sent.length })
    const sound = Uint8Array.from({ length: 5000 }, (_, at) => (at * 31) % 256)
    upstream.script(answer({ body: sound, headers: { 'content-type': 'audio/mpeg' } }))
    const speech = await send('/v1/audio/speech', { model: 'tts-1', input: 'Hi', voice: 'alloy' })
    expect(new Uint8Array(await speech.arrayBuffer())).toEqual(sound)
    expect((await keptOf(speech))!.answer).toEqual({
      ...{ text: null, contentType: 'audio/mpeg', bytes: 5000, truncated: false, redacted: false },
    })
  })

  it('may have them redacted: what is said in a stream’s many pieces is found', async () => {
    const of = await project({ days: 1, redact: true, max_bytes: 50_000 })
    const messages = [{ role: 'user', content: 'Write to bob.miller@example.com or call +49 30 1234567 for Bob' }]
    const response = await send('/v1/chat/completions', { model: 'sandbox/echo', messages, stream: true }, of)
    const got = await response.text()
    expect(got).not.toContain('bob.miller@example.com for')
    const kept = (await keptOf(response, of))!
    expect(kept.request.text).toBe(
      '{"model":"sandbox/echo","messages":[{"role":"user","content":"Write to [e-mail] or call [phone] for Bob"}],"stream":true}',
    )
    expect([kept.request.redacted, kept.answer.redacted]).toEqual([true, true])
    expect(kept.answer.text).toContain('Write to [e-mail] or call [phone] for Bob')
    expect(kept.answer.text).not.toMatch(/miller|1234567/)
  })

  it('has them sealed: nobody who reads the table can read them', async () => {
    const response = await send('/v1/chat/completions', { ...chat('sandbox/echo'), user: 'what-nobody-may-read' })
    await response.text()
    expect(await keptOf(response)).not.toBeNull()
    const rows = JSON.stringify(await database.database.db.selectFrom('call_bodies').selectAll().execute())
    expect(rows).not.toContain('what-nobody-may-read')
    expect(rows).not.toContain('Hello')
  })
})

describe('a project that hasn’t', () => {
  it('has nothing kept', async () => {
    const response = await send('/v1/chat/completions', chat('sandbox/chat'), off)
    expect(response.status).toBe(200)
    await response.text()
    expect(await keptOf(response, off)).toBeNull()
    const rows = database.database.db.selectFrom('call_bodies').select('call_id').where('project_id', '=', off.id)
    expect(await rows.execute()).toEqual([])
  })

  it('pays nothing for it: its keys are under no rules', async () => {
    expect((await on.deps.directory.lookup(off.secret))!.rules).toBeNull()
    expect((await on.deps.directory.lookup(on7.secret))!.rules!.bodies).toEqual({
      ...{ days: 7, redact: false, maxBytes: 100_000 },
    })
  })
})

it('a key that nobody knows leaves nothing', async () => {
  const count = async () => (await database.database.db.selectFrom('call_bodies').select('call_id').execute()).length
  const before = await count()
  const stranger = { id: on7.id, secret: `lgw_proj_${'x'.repeat(43)}` }
  const response = await send('/v1/chat/completions', chat('sandbox/chat'), stranger)
  expect(response.status).toBe(401)
  expect(await keptOf(response)).toBeNull()
  expect(await count()).toBe(before)
})
