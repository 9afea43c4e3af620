import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

const CHAT = '/v1/chat/completions'
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

function call(model: string, headers: Record<string, string> = {}, path = CHAT): Promise<Response> {
  return app.fetch(post(path, { ...HELLO, prompt: 'Hi', input: 'Hi', model }, headers))
}

describe('a model leads', () => {
  const cases: [name: string, model: string, headers: Record<string, string>, target: object][] = [
    ['to its own provider', 'gpt-4o-mini', {}, { provider: 'openai', model: 'gpt-4o-mini', rule: 'model' }],
    ['as a dated snapshot', 'gpt-4o-2024-08-06', {}, { provider: 'openai', model: 'gpt-4o-2024-08-06', rule: 'model' }],
    [
      'as a fine-tune',
      'ft:gpt-4o-mini:acme::1',
      {},
      { provider: 'openai', model: 'ft:gpt-4o-mini:acme::1', rule: 'model' },
    ],
    [
      'to the provider that it pins',
      'deepseek/deepseek-chat',
      {},
      { provider: 'deepseek', model: 'deepseek-chat', rule: 'pinned' },
    ],
    [
      'to a model nobody has listed',
      'openai/brand-new',
      {},
      { provider: 'openai', model: 'brand-new', rule: 'pinned' },
    ],
    ['with slashes behind its pin', 'together/a/b/c', {}, { provider: 'together', model: 'a/b/c', rule: 'pinned' }],
    [
      'to the provider of the header',
      'gpt-4o-mini',
      { 'x-watchllm-route': 'openrouter' },
      { provider: 'openrouter', model: 'gpt-4o-mini', rule: 'header' },
    ],
    [
      'to the provider of the other header',
      'my-own',
      { 'x-waddleai-route': 'ollama' },
      { provider: 'ollama', model: 'my-own', rule: 'header' },
    ],
    [
      'where the header says what it leads to anyway',
      'gpt-4o-mini',
      { 'x-watchllm-route': 'openai' },
      { provider: 'openai', model: 'gpt-4o-mini', rule: 'header' },
    ],
    ['to the sandbox by its name', 'sandbox/chat', {}, { provider: 'sandbox', model: 'sandbox/chat', rule: 'pinned' }],
  ]
  it.each(cases)('%s', async (_name, model, headers, target) => {
    const { provider, model: sent, rule } = target as { provider: string; model: string; rule: string }
    const response = await call(model, headers)
    expect(response.status).toBe(200)
    expect(response.headers.get('x-watchllm-provider')).toBe(provider)
    expect(response.headers.get('x-watchllm-model')).toBe(sent)
    expect(response.headers.get('x-watchllm-route')).toBe(rule)
    expect(response.headers.get('x-watchllm-attempts')).toBe('1')
    expect(app.records).toMatchObject([{ modelRequested: model, provider, model: sent, route: rule, attempts: 1 }])
    if (provider !== 'sandbox') expect(upstream.requests[0]!.json().model).toBe(sent)
  })
})

describe('a call that leads nowhere', () => {
  const cases: [name: string, model: string, headers: Record<string, string>, path: string, expected: object][] = [
    ['unknown model', 'nobody-knows-me', {}, CHAT, { status: 404, code: 'invalid_model', param: 'model' }],
    ['unknown namespace', 'nobody/gpt-4o', {}, CHAT, { status: 404, code: 'invalid_model', param: 'model' }],
    ['a pin without a model', 'openai/', {}, CHAT, { status: 404, code: 'invalid_model', param: 'model' }],
    ['a provider without a row', 'nowhere/claude', {}, CHAT, { status: 404, code: 'invalid_model', param: 'model' }],
    ['__proto__', '__proto__', {}, CHAT, { status: 404, code: 'invalid_model', param: 'model' }],
    [
      'unknown provider in the header',
      'gpt-4o',
      { 'x-watchllm-route': 'nobody' },
      CHAT,
      { status: 400, code: 'invalid_request', param: null },
    ],
    [
      '__proto__ in the header',
      'gpt-4o',
      { 'x-watchllm-route': '__proto__' },
      CHAT,
      { status: 400, code: 'invalid_request', param: null },
    ],
    [
      'a provider without this endpoint',
      'deepseek/deepseek-chat',
      {},
      '/v1/embeddings',
      { status: 400, code: 'invalid_request', param: 'model' },
    ],
    [
      'a provider without a key',
      'groq/llama-3.3-70b-versatile',
      {},
      CHAT,
      { status: 503, code: 'no_provider_key', param: null },
    ],
  ]
  it.each(cases)('%s: refused, recorded, nobody is called', async (_name, model, headers, path, expected) => {
    const { status, code, param } = expected as { status: number; code: string; param: string | null }
    const response = await call(model, headers, path)
    const { error } = await response.json()
    expect([response.status, error.code, error.param]).toEqual([status, code, param])
    expect(upstream.requests).toHaveLength(0)
    expect(app.records).toMatchObject([{ status, errorCode: code, outcome: 'error', provider: null, costPico: 0 }])
  })

  it('names the variable that is missing', async () => {
    const { error } = await (await call('groq/llama-3.3-70b-versatile')).json()
    expect(error.message).toMatch(/GROQ_API_KEY/)
    expect(error.details).toEqual({ provider: 'groq' })
  })

  it('names the variable of a provider that needs no key', async () => {
    await app.close()
    app = testApp()
    expect((await (await call('ollama/llama3')).json()).error.message).toMatch(/OLLAMA_BASE_URL/)
  })

  it('does not repeat a name of a thousand letters', async () => {
    const { error } = await (await call('gpt-4o', { 'x-watchllm-route': 'p'.repeat(1000) })).json()
    expect(error.message.length).toBeLessThan(200)
  })

  it('with a test key as well: an unknown model is unknown', async () => {
    const response = await call('nobody-knows-me', { authorization: `Bearer ${TEST_KEY}` })
    expect([response.status, (await response.json()).error.code]).toEqual([404, 'invalid_model'])
  })
})
