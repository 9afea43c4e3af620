import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiFailure } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

const CHAT = '/v1/chat/completions'
/** Noon, and 20.5 seconds of the minute have passed. */
const START = Date.UTC(2026, 10, 21, 12, 0, 20, 500)
const RESET = Date.UTC(2026, 10, 21, 12, 1)

let upstream: ScriptedUpstream
let clock: HandClock
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  clock = handClock(START)
  app = testApp({ upstreamUrl: upstream.url, plan: 'starter', clock })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

function call(body: object = HELLO, headers: Record<string, string> = {}): Promise<Response> {
  return app.fetch(post(CHAT, body, headers))
}

async function statuses(count: number): Promise<number[]> {
  const responses = await Promise.all(Array.from({ length: count }, () => call()))
  return responses.map(({ status }) => status)
}

const rates = (response: Response) =>
  Object.fromEntries(
    [...response.headers].filter(([name]) => name.startsWith('x-ratelimit-') && !/tokens|daily/.test(name)),
  )

describe('the limit of a minute', () => {
  it('is exact under a hundred calls at once', async () => {
    const found = await statuses(100)
    expect(found.filter((status) => status === 200)).toHaveLength(60)
    expect(found.filter((status) => status === 429)).toHaveLength(40)
    expect(upstream.requests).toHaveLength(60)
    expect(app.records).toHaveLength(100)
  })

  it('is one for all keys of an organization', async () => {
    await statuses(60)
    expect((await call({ ...HELLO, model: 'sandbox/chat' }, { authorization: `Bearer ${TEST_KEY}` })).status).toBe(429)
  })

  it('begins anew with the minute, not sooner', async () => {
    await statuses(60)
    clock.advance(39_499)
    expect((await call()).status).toBe(429)
    clock.advance(1)
    const response = await call()
    expect(response.status).toBe(200)
    expect(response.headers.get('x-ratelimit-remaining')).toBe('59')
    expect(response.headers.get('x-ratelimit-reset')).toBe(String(RESET / 1000 + 60))
  })

  it('is not touched by calls that are refused before: unknown keys, bad bodies', async () => {
    for (let calls = 0; calls < 100; calls++) {
      await call({ model: 'gpt-4o-mini' })
      await call(HELLO, { authorization: 'Bearer lgw_proj_ffffffffffffffffff' })
    }
    expect((await call()).headers.get('x-ratelimit-remaining')).toBe('59')
  })

  it('does not go down further when calls are refused', async () => {
    await statuses(80)
    clock.advance(60_000)
    expect((await statuses(60)).every((status) => status === 200)).toBe(true)
  })
})

describe('headers', () => {
  const expected = (remaining: string) => ({
    'x-ratelimit-limit': '60',
    'x-ratelimit-remaining': remaining,
    'x-ratelimit-reset': String(RESET / 1000),
    'x-ratelimit-limit-rpm': '60',
    'x-ratelimit-remaining-rpm': remaining,
    'x-ratelimit-reset-rpm': String(RESET / 1000),
    'x-ratelimit-limit-requests': '60',
    'x-ratelimit-remaining-requests': remaining,
    'x-ratelimit-reset-requests': '40s',
  })

  it('tell the window on whole answers, streams, refusals of providers and of models', async () => {
    expect(rates(await call())).toEqual(expected('59'))
    expect(rates(await call({ ...HELLO, stream: true }))).toEqual(expected('58'))
    expect(rates(await call({ ...HELLO, model: 'nobody-knows-me' }))).toEqual(expected('57'))
    upstream.script(openaiFailure(500))
    expect(rates(await call())).toEqual(expected('56'))
  })

  it("never tell the provider's own window", async () => {
    const response = await call()
    expect(response.headers.get('x-ratelimit-limit-requests')).not.toBe('10000')
  })

  it('tell it on a refused call, with what to wait for', async () => {
    await statuses(60)
    const response = await call()
    expect(response.status).toBe(429)
    expect(rates(response)).toEqual(expected('0'))
    expect(response.headers.get('retry-after')).toBe('40')
    // A later try can succeed: SDKs may.
    expect(response.headers.get('x-should-retry')).toBeNull()
    expect((await response.json()).error).toEqual({
      message: 'The Starter plan allows 60 requests a minute; try again in 40 s',
      type: 'rate_limit_error',
      param: null,
      code: 'rate_limit_exceeded',
      details: { plan: 'Starter', limit: 60, reset_at: new Date(RESET).toISOString() },
    })
  })

  it('ask to wait a second at least', async () => {
    await statuses(60)
    clock.advance(39_499)
    expect((await call()).headers.get('retry-after')).toBe('1')
  })

  it('are absent where the plan has no limit', async () => {
    await app.close()
    app = testApp({ upstreamUrl: upstream.url, plan: 'unlimited', clock })
    const response = await call()
    expect(rates(response)).toEqual({})
    expect((await statuses(100)).every((status) => status === 200)).toBe(true)
  })
})

it('a refused call reaches no provider and is recorded once, at no cost', async () => {
  await statuses(60)
  const response = await call({ ...HELLO, stream: true, user: 'u_1' })
  expect(upstream.requests).toHaveLength(60)
  expect(app.records).toHaveLength(61)
  expect(app.records.at(-1)).toMatchObject({
    id: response.headers.get('x-request-id'),
    status: 429,
    outcome: 'error',
    errorCode: 'rate_limit_exceeded',
    modelRequested: 'gpt-4o-mini',
    endUser: 'u_1',
    provider: null,
    attempts: 0,
    usageSource: 'none',
    costPico: 0,
  })
})

it('a store of counters that fails refuses the call with 500 and says nothing of itself', async () => {
  const takeAll = () => Promise.reject(new Error('connect ECONNREFUSED redis://:password@10.0.0.9'))
  await app.close()
  app = testApp({ upstreamUrl: upstream.url, plan: 'starter', deps: { kv: { ...app.deps.kv, takeAll } } })
  const response = await app.fetch(post(CHAT, HELLO, { authorization: `Bearer ${PROJECT_KEY}` }))
  const text = await response.text()
  expect(response.status).toBe(500)
  expect(text).not.toMatch(/password|10\.0\.0\.9|redis/)
  expect(app.records).toMatchObject([{ status: 500, errorCode: 'server_error' }])
})
