import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, PROVIDER_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, openaiFailure } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { answer, gate } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  app = testApp({ upstreamUrl: `${upstream.url}/proxy/v9/` })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const message = '"messages":[{"role":"user","content":"Hi"}]'

async function sent(path: string, body: string, headers: Record<string, string> = {}): Promise<RecordedRequest> {
  const response = await app.fetch(post(path, body, headers))
  await response.text()
  expect(response.status).toBe(200)
  return upstream.requests.at(-1)!
}

const text = (request: RecordedRequest) => Buffer.from(request.body).toString()

describe('what goes to the provider', () => {
  it.each([
    [CHAT, '/proxy/v9/chat/completions'],
    ['/v1/completions', '/proxy/v9/completions'],
    ['/v1/embeddings', '/proxy/v9/embeddings'],
  ])("%s goes under the operator's own base URL", async (path, expected) => {
    const body = `{"model":"gpt-4o-mini","prompt":"Hi","input":"Hi",${message}}`
    expect(await sent(`${path}?debug=1`, body)).toMatchObject({ method: 'POST', path: expected })
  })

  it('are the very headers of the gateway: nothing of the caller, the key of the provider', async () => {
    const request = await sent(CHAT, JSON.stringify(HELLO), {
      cookie: 'session=secret',
      'x-api-key': PROJECT_KEY,
      'x-watchllm-metadata': '{"a":1}',
      'x-watchllm-route': 'openai',
      'x-waddleai-body': 'on',
      'openai-organization': 'org-of-the-caller',
      'x-forwarded-for': '10.1.2.3',
      'x-request-id': 'mine',
      traceparent: '00-1-2-01',
      'user-agent': 'OpenAI/Python 2.0',
      accept: 'application/json',
      'accept-encoding': 'gzip, br',
    })
    expect({ ...request.headers }).toEqual({
      host: new URL(upstream.url).host,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      'user-agent': 'watchllm',
      authorization: `Bearer ${PROVIDER_KEY}`,
      'content-length': String(request.body.length),
    })
    expect(request.rawHeaders.join()).not.toMatch(/lgw_|secret;|mine|10\.1/)
  })

  it.each([
    ['a plain call', `{"model":"gpt-4o-mini",${message}}`],
    ['odd spacing', `\n{ "model" :\t"gpt-4o-mini" , ${message}, "n": 1 }\n`],
    [
      'a stream that asks for usage itself',
      `{"stream":true,"stream_options":{"include_usage":true},"model":"gpt-4o-mini",${message}}`,
    ],
    [
      'emoji, escapes, huge numbers',
      `{"model":"gpt-4o-mini","x":["\u{1F468}‍\u{1F469}","\\ud83d\\ude00",1e400],${message}}`,
    ],
  ])('is byte for byte what came: %s', async (_name, body) => {
    expect(text(await sent(CHAT, body))).toBe(body)
  })

  it.each([
    [
      'only the model where it was pinned',
      `{ "model": "openai/gpt-4o-mini", ${message} }`,
      `{ "model": "gpt-4o-mini", ${message} }`,
    ],
    [
      'only the question for usage in a stream',
      `{"model":"gpt-4o-mini",${message},"stream" : true}`,
      `{"stream_options":{"include_usage":true},"model":"gpt-4o-mini",${message},"stream" : true}`,
    ],
    [
      'only that word in stream_options',
      `{"model":"gpt-4o-mini",${message},"stream":true,"stream_options": {"x":1, "include_usage": false }}`,
      `{"model":"gpt-4o-mini",${message},"stream":true,"stream_options": {"x":1, "include_usage": true }}`,
    ],
    [
      'both at once',
      `{"stream":true,${message},"model":"openai/gpt-4o-mini","stream_options":null}`,
      `{"stream":true,${message},"model":"gpt-4o-mini","stream_options":{"include_usage":true}}`,
    ],
  ])('has %s edited', async (_name, given, expected) => {
    expect(text(await sent(CHAT, given))).toBe(expected)
  })

  it('keeps stream_options from a provider that refuses them', async () => {
    const body = `{"model":"mistral/mistral-small-latest",${message},"stream":true,"stream_options":{"include_usage":true}}`
    const expected = app.deps.providerOf('mistral')!.quirks?.noStreamOptions === undefined
    expect('stream_options' in (await sent(CHAT, body)).json()).toBe(expected)
  })

  it('goes over connections that are used again', async () => {
    for (let calls = 0; calls < 10; calls++) await sent(CHAT, JSON.stringify(HELLO))
    expect(new Set(upstream.requests.map(({ connection }) => connection)).size).toBe(1)
  })

  it('never waits behind another call', async () => {
    const calls = Array.from({ length: 30 }, () => sent(CHAT, JSON.stringify({ ...HELLO, stream: true })))
    await Promise.all(calls)
    expect(upstream.requests).toHaveLength(30)
  })
})

describe('an answer that comes packed although nobody asked for it', () => {
  const body = '{"choices":[{"message":{"content":"Hi \u{1F600}"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
  it.each([
    ['gzip', gzipSync(body)],
    ['GZIP', gzipSync(body)],
    ['x-gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['br', brotliCompressSync(body)],
    ['identity', Buffer.from(body)],
  ])('is unpacked and metered: %s', async (encoding, bytes) => {
    upstream.script(json(bytes, { headers: { 'content-encoding': encoding }, split: [1, 9, 30] }))
    const response = await app.fetch(post(CHAT, HELLO, { 'x-watchllm-body': 'off' }))
    expect([response.status, await response.text()]).toEqual([200, body])
    expect(response.headers.get('content-encoding')).toBeNull()
    expect(app.records).toMatchObject([{ usage: { input: 3, output: 2 }, usageSource: 'provider' }])
  })
})

it('a refusal that comes while the body is still under way is heard at once', async () => {
  const holdBody = gate()
  upstream.script(openaiFailure(413), { early: true, holdBody })
  const content = 'a'.repeat(16 * 1024 * 1024)
  const response = await app.fetch(post(CHAT, { ...HELLO, messages: [{ role: 'user', content }] }))
  expect([response.status, (await response.json()).error.code]).toEqual([413, 'request_too_large'])
  expect(app.records).toMatchObject([{ status: 413, outcome: 'error' }])
  holdBody.open()
})

describe('1xx answers', () => {
  it.each([false, true])('before the real one mean nothing, stream: %s', async (stream) => {
    upstream.script(openaiProvider({ answer: { interim: [102, 103, 103] } }))
    const response = await app.fetch(post(CHAT, { ...HELLO, stream }))
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('provider')])
    expect(response.headers.get('x-interim')).toBeNull()
    expect(app.records).toMatchObject([{ outcome: 'done', usageSource: 'provider' }])
  })
})

describe("a provider's own request id", () => {
  it.each([200, 429, 500])('is kept with the record when it answers %i', async (status) => {
    const body = { choices: [], error: { message: 'no' } }
    upstream.script(answer({ status, body: JSON.stringify(body), headers: { 'x-request-id': 'req_of_the_provider' } }))
    await app.fetch(post(CHAT, HELLO))
    expect(app.records[0]).toMatchObject({ upstreamId: 'req_of_the_provider', firstByteUs: expect.any(Number) })
  })
})
