import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXPIRED_KEY, HELLO, PROJECT_KEY, post, REVOKED_KEY, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  app = testApp({ upstreamUrl: upstream.url })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const UNKNOWN_KEY = 'lgw_proj_ffffffffffffffffffffffffffffffff'

function ask(headers: Record<string, string>, path = CHAT): Promise<Response> {
  const body = JSON.stringify(HELLO)
  const all = { 'content-type': 'application/json', ...headers }
  return app.fetch(new Request(`http://gateway.test${path}`, { method: 'POST', headers: all, body }))
}

describe('a call without a good key', () => {
  const cases: [name: string, headers: Record<string, string>][] = [
    ['no key', {}],
    ['an empty bearer', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${PROJECT_KEY}` }],
    ['the key without its scheme', { authorization: PROJECT_KEY }],
    ['a key of someone else', { authorization: 'Bearer sk-proj-0123456789abcdef' }],
    ['a key of the right prefix that is too short', { authorization: 'Bearer lgw_proj_0123' }],
    ['a key with a line of its own inside', { authorization: `Bearer ${PROJECT_KEY} x` }],
    ['a key of a megabyte', { authorization: `Bearer lgw_proj_${'a'.repeat(1_000_000)}` }],
    ['an unknown key', { authorization: `Bearer ${UNKNOWN_KEY}` }],
    ['a revoked key', { authorization: `Bearer ${REVOKED_KEY}` }],
    ['an expired key', { authorization: `Bearer ${EXPIRED_KEY}` }],
    ['an unknown key in x-api-key', { 'x-api-key': UNKNOWN_KEY }],
    ['an unknown key in x-goog-api-key', { 'x-goog-api-key': UNKNOWN_KEY }],
    ['an unknown bearer beside a good x-api-key', { authorization: `Bearer ${UNKNOWN_KEY}`, 'x-api-key': PROJECT_KEY }],
  ]

  it.each(cases)('is refused with 401: %s', async (_name, headers) => {
    const response = await ask(headers)
    const text = await response.text()
    expect(response.status).toBe(401)
    expect(JSON.parse(text).error).toMatchObject({ code: 'invalid_api_key', type: 'authentication_error', param: null })
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    for (const secret of Object.values(headers)) if (secret.length > 8) expect(text).not.toContain(secret.slice(0, 200))
  })

  it.each(cases)('reaches nobody and leaves no record: %s', async (_name, headers) => {
    await ask(headers)
    expect(upstream.requests).toHaveLength(0)
    expect(app.records).toHaveLength(0)
  })

  it.each(['/v1/models', '/v1/models/gpt-4o-mini', '/v1/requests/req_x'])('is refused on GET %s too', async (path) => {
    const response = await app.fetch(new Request(`http://gateway.test${path}`))
    expect(response.status).toBe(401)
    expect(response.headers.get('x-should-retry')).toBe('false')
  })

  it('says 503, not 401, when a key that is not known here can not be looked up', async () => {
    const directory = { lookup: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7:5432')) }
    const cut = testApp({ upstreamUrl: upstream.url, deps: { directory } })
    const response = await cut.fetch(post(CHAT, HELLO))
    const text = await response.text()
    expect([response.status, JSON.parse(text).error.code]).toEqual([503, 'service_unavailable'])
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(text).not.toContain('10.0.0.7')
    await cut.close()
  })
})

describe('a good key', () => {
  it.each([
    ['Bearer', { authorization: `Bearer ${PROJECT_KEY}` }],
    ['bearer', { authorization: `bearer ${PROJECT_KEY}` }],
    ['BEARER with spaces', { authorization: `BEARER   ${PROJECT_KEY}  ` }],
    ['x-api-key', { 'x-api-key': PROJECT_KEY }],
    ["Google's x-goog-api-key", { 'x-goog-api-key': PROJECT_KEY }],
    ["Azure's api-key", { 'api-key': PROJECT_KEY }],
    ['x-api-key beside another scheme', { authorization: 'Basic dXNlcjpwYXNz', 'x-api-key': PROJECT_KEY }],
  ])('is taken from %s', async (_name, headers) => {
    expect((await ask(headers)).status).toBe(200)
    expect(app.records[0]).toMatchObject({ keyId: 'key_one', projectId: 'prj_one', organizationId: 'org_one' })
  })
})

describe('a test key', () => {
  const asTest = { authorization: `Bearer ${TEST_KEY}` }

  it.each([
    ['a model of a real provider', 'gpt-4o-mini', {}],
    ['a pinned provider', 'openai/gpt-4o-mini', {}],
    ['a provider forced by header', 'gpt-4o-mini', { 'x-watchllm-route': 'openai' }],
    ["the sandbox's own model", 'sandbox/chat', {}],
  ])('only ever reaches the sandbox: %s', async (_name, model, headers) => {
    const response = await app.fetch(post(CHAT, { ...HELLO, model }, { ...asTest, ...headers }))
    expect(response.status).toBe(200)
    expect((await response.json()).choices).toHaveLength(1)
    expect(response.headers.get('x-watchllm-provider')).toBe('sandbox')
    expect(upstream.requests).toHaveLength(0)
    expect(app.records).toMatchObject([{ keyId: 'key_test', provider: 'sandbox', costPico: 0, status: 200 }])
  })

  it.each(['/v1/completions', '/v1/embeddings'])('reaches it on %s', async (path) => {
    const body = { model: 'sandbox/chat', prompt: 'Hi', input: 'Hi' }
    const response = await app.fetch(post(path, body, asTest))
    expect(response.status).toBe(200)
    expect(upstream.requests).toHaveLength(0)
  })
})
