import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { formatUsd } from '../../db/model/money.ts'
import { HELLO, PROVIDER_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiFailure, PROVIDER_HEADERS } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  app = testApp({ upstreamUrl: upstream.url, plan: 'pro' })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const STREAM = { ...HELLO, stream: true }

/** Everything that may come down on an answer. */
const ALWAYS = ['content-type', 'x-request-id', 'request-id', 'x-watchllm-cached', 'x-watchllm-cache']
const ROUTED = ['x-watchllm-provider', 'x-watchllm-model', 'x-watchllm-route', 'x-watchllm-attempts']
const TIMES = ['x-watchllm-latency-ms', 'x-watchllm-overhead-ms']
const RATE = [
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-ratelimit-limit-rpm',
  'x-ratelimit-remaining-rpm',
  'x-ratelimit-reset-rpm',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
  'x-ratelimit-limit-daily',
  'x-ratelimit-remaining-daily',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-tokens',
]
const names = (response: Response) => [...response.headers.keys()].sort()

describe('headers', () => {
  it('of a whole answer are these and no others', async () => {
    const response = await app.fetch(post(CHAT, HELLO))
    expect(names(response)).toEqual([...ALWAYS, ...ROUTED, ...TIMES, ...RATE, 'x-watchllm-cost-usd'].sort())
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json',
      'x-watchllm-cached': 'MISS',
      'x-watchllm-cache': 'none',
      'x-watchllm-provider': 'openai',
      'x-watchllm-model': 'gpt-4o-mini',
      'x-watchllm-route': 'model',
      'x-watchllm-attempts': '1',
      'x-watchllm-cost-usd': formatUsd(app.records[0]!.costPico!),
    })
    expect(response.headers.get('x-watchllm-cost-usd')).toMatch(/^0\.\d+$/)
    for (const name of TIMES) expect(response.headers.get(name)).toMatch(/^\d+(\.\d)?$/)
  })

  it('of a stream are these and no others', async () => {
    const response = await app.fetch(post(CHAT, STREAM))
    await response.text()
    expect(names(response)).toEqual(
      [...ALWAYS, ...ROUTED, ...TIMES, ...RATE, 'cache-control', 'x-accel-buffering'].sort(),
    )
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-cache')
  })

  it("of a provider's refusal are these and no others", async () => {
    upstream.script(openaiFailure(429, { headers: PROVIDER_HEADERS }))
    const response = await app.fetch(post(CHAT, HELLO))
    expect(names(response)).toEqual(
      [...ALWAYS, ...ROUTED, ...TIMES, ...RATE, 'x-watchllm-cost-usd', 'retry-after'].sort(),
    )
    expect(response.headers.get('x-watchllm-cost-usd')).toBe('0')
  })

  it.each([
    ['JSON', HELLO, 200],
    ['a stream', STREAM, 200],
    ['an error', { ...HELLO, model: 'nobody-knows-me' }, 404],
    ['bad input', { model: 'gpt-4o-mini' }, 400],
  ])('name the id of the record, never the one a caller sent, on %s', async (_name, body, status) => {
    const response = await app.fetch(post(CHAT, body, { 'x-request-id': 'req_forged', 'request-id': 'req_forged' }))
    await response.text()
    const id = response.headers.get('x-request-id')
    expect(response.status).toBe(status)
    expect(id).toMatch(/^req_[0-9a-z]{26}$/)
    expect(response.headers.get('request-id')).toBe(id)
    expect(app.records).toMatchObject([{ id, clientRequestId: 'req_forged' }])
  })

  it('are different for every call', async () => {
    const ids = await Promise.all(
      Array.from({ length: 200 }, async () => (await app.fetch(post(CHAT, HELLO))).headers.get('x-request-id')),
    )
    expect(new Set(ids).size).toBe(200)
  })

  it('carry a model whose name has no place in a header in another form', async () => {
    const response = await app.fetch(post(CHAT, { ...HELLO, model: 'openai/modèle 五\n' }))
    expect(response.status).toBe(200)
    expect(response.headers.get('x-watchllm-model')).toBe(encodeURIComponent('modèle 五\n'))
  })
})

describe('nothing of the provider comes down', () => {
  it.each([
    ['JSON', HELLO, 200],
    ['a stream', STREAM, 200],
    ['a refusal', HELLO, 401],
    ['a refusal of a stream', STREAM, 403],
  ])('no cookie, organization, limit or server name on %s', async (_name, body, status) => {
    if (status !== 200) upstream.script(openaiFailure(status, { headers: PROVIDER_HEADERS }))
    const response = await app.fetch(post(CHAT, body))
    const all = `${JSON.stringify([...response.headers])}${await response.text()}`
    expect(all).not.toMatch(/cookie|secret-|of-the-operator|of_the_operator|cloudflare|cf-ray|req_of_the_provider/i)
    expect(all).not.toContain(PROVIDER_KEY)
    expect(all).not.toContain(new URL(upstream.url).port)
  })
})

describe("the body's additions", () => {
  it.each([CHAT, '/v1/completions'])('say on %s what the headers and the record say', async (path) => {
    const response = await app.fetch(post(path, { ...HELLO, prompt: 'Hi' }))
    const body = await response.json()
    const cost = formatUsd(app.records[0]!.costPico!)
    expect(body).toMatchObject({
      'x-WatchLLM-cached': false,
      'x-WatchLLM-cost-usd': cost,
      watchllm: {
        provider: 'openai',
        model_used: 'gpt-4o-mini',
        routing_rule: 'model',
        cost_usd: cost,
        cached: false,
      },
    })
    expect(String(body['x-WatchLLM-latency-ms'])).toBe(response.headers.get('x-watchllm-latency-ms'))
    expect(body.usage.watchllm_tokens).toBe(Math.ceil(app.records[0]!.costPico! / 1_000_000))
  })

  it.each(['x-watchllm-body', 'x-waddleai-body'])('are left out with %s: off, byte for byte', async (name) => {
    const given =
      '{"id":"x", "choices":[{"message":{"content":"H\\u00ec \u{1F600}"}}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n'
    upstream.script((await import('../helpers/upstream-answers.ts')).json(given))
    const response = await app.fetch(post(CHAT, HELLO, { [name]: 'off' }))
    expect(await response.text()).toBe(given)
    expect(response.headers.get('x-watchllm-cost-usd')).toBe(formatUsd(app.records[0]!.costPico!))
  })

  it('are left out of a stream with x-watchllm-body: off', async () => {
    const on = await (await app.fetch(post(CHAT, STREAM))).text()
    const off = await (await app.fetch(post(CHAT, STREAM, { 'x-watchllm-body': 'off' }))).text()
    expect(on).toMatch(/\n: watchllm \{"x-WatchLLM-cached":false,.*\}\n\ndata: \[DONE\]\n\n$/)
    expect(off).not.toMatch(/watchllm/i)
  })

  it('are in the usage chunk of a stream that was asked for it', async () => {
    const body = { ...STREAM, stream_options: { include_usage: true } }
    const text = await (await app.fetch(post(CHAT, body))).text()
    const frames = text.trim().split('\n\n')
    const last = JSON.parse(frames.at(-2)!.slice('data: '.length))
    const cost = formatUsd(app.records[0]!.costPico!)
    expect(frames.at(-1)).toBe('data: [DONE]')
    expect(last).toMatchObject({ choices: [], 'x-WatchLLM-cost-usd': cost, watchllm: { cost_usd: cost } })
    expect(last.usage).toMatchObject({ completion_tokens: 4, watchllm_tokens: expect.any(Number) })
  })

  it('say null, never 0, where no price is known', async () => {
    const response = await app.fetch(post(CHAT, { ...HELLO, model: 'openai/unpriced-model' }))
    const body = await response.json()
    expect(body['x-WatchLLM-cost-usd']).toBeNull()
    expect(body.usage).not.toHaveProperty('watchllm_tokens')
    expect(response.headers.get('x-watchllm-cost-usd')).toBeNull()
    expect(app.records).toMatchObject([{ costPico: null, priceId: null, usageSource: 'provider' }])
  })
})
