import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { REVOKED_KEY } from '../helpers/app.ts'
import { fixture } from '../helpers/fixture.ts'
import { hang, openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { gate } from '../helpers/upstream-plan.ts'
import { failureOf, headerOf, MESSAGES, MODEL, openBench, SDKS, type SdkBench } from './kit.ts'

let bench: SdkBench
beforeAll(async () => {
  bench = await openBench()
})
afterAll(() => bench.close())

const CHAT = { model: MODEL, messages: MESSAGES }

describe.each(SDKS)('errors with $name', (sdk) => {
  const { Client } = sdk
  const create = (body: object = {}, options: object = {}) =>
    bench.client(sdk, options).chat.completions.create({ ...CHAT, ...body })

  it('an unknown or revoked key is an AuthenticationError, and is not tried again', async () => {
    for (const apiKey of ['lgw_proj_unknown0123456789abcdef', REVOKED_KEY, 'sk-of-another-house']) {
      const before = bench.asked
      const error = await failureOf(create({}, { apiKey, maxRetries: 2 }))
      expect(error).toBeInstanceOf(Client.AuthenticationError)
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' })
      expect(headerOf(error, 'x-should-retry')).toBe('false')
      expect(bench.asked).toBe(before + 1)
    }
  })

  it('an unknown model is a NotFoundError', async () => {
    const error = await failureOf(create({ model: 'no-such-model' }))
    expect(error).toBeInstanceOf(Client.NotFoundError)
    expect(error).toMatchObject({ status: 404, code: 'invalid_model', param: 'model' })
    await expect(bench.client(sdk).models.retrieve('no-such-model')).rejects.toBeInstanceOf(Client.NotFoundError)
  })

  it('a bad request is a BadRequestError, ours and the provider’s', async () => {
    const ours = await failureOf(create({ messages: 'hello' }))
    expect(ours).toBeInstanceOf(Client.BadRequestError)
    expect(ours).toMatchObject({ status: 400, code: 'invalid_request', type: 'invalid_request_error' })
    bench.upstream.script(openaiFailure(400))
    const theirs = await failureOf(create())
    expect(theirs).toBeInstanceOf(Client.BadRequestError)
    expect(theirs).toMatchObject({ param: 'temperature', message: expect.stringContaining('too high') })
  })

  it('a provider’s limit is a RateLimitError that says when to come again', async () => {
    bench.upstream.script(openaiFailure(429))
    const error = await failureOf(create())
    expect(error).toBeInstanceOf(Client.RateLimitError)
    expect(headerOf(error, 'retry-after')).toBe('7')
    expect(error.message).not.toContain('org-of-the-operator')
  })

  it('a provider’s 401, 500 and nonsense are API errors of 502 that show nothing of its account', async () => {
    for (const plan of [openaiFailure(401), openaiFailure(403), openaiFailure(500), sse('not json')]) {
      bench.upstream.script(plan)
      const error = await failureOf(create())
      expect(error).toBeInstanceOf(Client.APIError)
      expect(error).toMatchObject({ status: 502, code: 'provider_error' })
      expect(JSON.stringify(error) + error.message).not.toMatch(/sk-|org-of|proj_of/)
    }
  })

  it('every error carries the id of its record', async () => {
    bench.upstream.script(openaiFailure(500))
    const error = (await failureOf(create())) as { requestID?: string; request_id?: string }
    expect(error.requestID ?? error.request_id).toBe(bench.app.records.at(-1)!.id)
  })

  it('what may pass is tried again, as often as the client wants, and then succeeds', async () => {
    const start = bench.upstream.requests.length
    const failures = [openaiFailure(500), openaiFailure(503)]
    bench.upstream.script((request, at) => failures[at - start] ?? openaiProvider()(request, at))
    const before = bench.asked
    const answer = await create({}, { maxRetries: 2 })
    expect(answer.choices[0]!.message.content).toBe('Hello from the provider')
    expect(bench.asked).toBe(before + 3)
    expect(bench.app.records.slice(-3).map((one) => one.outcome)).toEqual(['error', 'error', 'done'])
  })

  it('waits as long as retry-after says', async () => {
    const start = bench.upstream.requests.length
    const limited = openaiFailure(429, { headers: { 'retry-after': '1' } })
    bench.upstream.script((request, at) => (at === start ? limited : openaiProvider()(request, at)))
    const began = performance.now()
    await create({}, { maxRetries: 1 })
    expect(performance.now() - began).toBeGreaterThan(950)
  })

  it('a stream that breaks off throws, after the words that came', async () => {
    const whole = fixture('openai-chat/text.sse')
    const rest = { at: 1200, gate: gate() }
    for (const plan of [
      sse(whole, { stall: rest, cut: { at: 1300 } }),
      sse(whole, { stall: rest, cut: { at: 1300, how: 'reset' } }),
      sse(fixture('openai-chat/error-in-the-middle.sse')),
    ]) {
      bench.upstream.script(plan)
      let text = ''
      const error = await failureOf(
        (async () => {
          for await (const chunk of await bench.client(sdk).chat.completions.create({ ...CHAT, stream: true })) {
            text += chunk.choices[0]?.delta.content ?? ''
            if (text !== '') rest.gate.open()
          }
        })(),
      )
      expect(text).not.toBe('')
      expect(error).toBeInstanceOf(Client.APIError)
      expect(error.code).toBe('provider_error')
      expect(bench.app.records.at(-1)).toMatchObject({ outcome: 'cut', errorCode: 'provider_error' })
      rest.gate = gate()
    }
  })

  it('a client’s time limit gives the provider up', async () => {
    bench.upstream.script(hang())
    const asked = create({}, { timeout: 150 })
    await expect(asked).rejects.toBeInstanceOf(Client.APIConnectionTimeoutError)
    expect(await bench.upstream.requests.at(-1)!.ended).toBe('aborted')
  })

  it('an abort before the answer reaches the provider', async () => {
    bench.upstream.script(hang())
    const seen = bench.upstream.requests.length
    const settled = bench.app.settled()
    const controller = new AbortController()
    const asked = bench.client(sdk).chat.completions.create(CHAT, { signal: controller.signal })
    const failed = failureOf(asked)
    let request = await bench.upstream.next()
    while (bench.upstream.requests.indexOf(request) < seen) request = await bench.upstream.next()
    controller.abort()
    expect(await failed).toBeInstanceOf(Client.APIUserAbortError)
    expect(await request.ended).toBe('aborted')
    expect(await settled).toMatchObject({ outcome: 'aborted', costPico: 0 })
  })

  it('leaving a stream in the middle reaches the provider, and what came is billed', async () => {
    bench.upstream.script(sse(fixture('openai-chat/text.sse'), { stall: { at: 1200, gate: gate() } }))
    const settled = bench.app.settled()
    const stream = await bench.client(sdk).chat.completions.create({ ...CHAT, stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    expect(await bench.upstream.requests.at(-1)!.ended).toBe('aborted')
    const record = await settled
    expect(record).toMatchObject({ outcome: 'aborted', usageSource: 'estimated' })
    expect(record.costPico).toBeGreaterThan(0)
  })

  it('200 calls at once, half of them streams, each get their own answer', async () => {
    bench.upstream.script((request, at) => openaiProvider({ text: `Words for ${request.json().seed}` })(request, at))
    const client = bench.client(sdk)
    const texts = await Promise.all(
      Array.from({ length: 200 }, async (_, seed) => {
        if (seed % 2 === 0) return (await client.chat.completions.create({ ...CHAT, seed })).choices[0]!.message.content
        let text = ''
        for await (const chunk of await client.chat.completions.create({ ...CHAT, seed, stream: true })) {
          text += chunk.choices[0]?.delta.content ?? ''
        }
        return text
      }),
    )
    expect(texts).toEqual(Array.from({ length: 200 }, (_, seed) => `Words for ${seed}`))
  })
})

describe.each(SDKS)('the plan’s own limit with $name', (sdk) => {
  it('is a RateLimitError with the window in its headers', async () => {
    const free = await openBench({ plan: 'free' })
    try {
      free.upstream.script(openaiProvider())
      const create = () => free.client(sdk).chat.completions.create(CHAT)
      for (let call = 0; call < 10; call++) await create()
      const error = await failureOf(create())
      expect(error).toBeInstanceOf(sdk.Client.RateLimitError)
      expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
      expect(headerOf(error, 'x-ratelimit-limit-requests')).toBe('10')
      expect(headerOf(error, 'x-ratelimit-remaining-requests')).toBe('0')
      expect(Number(headerOf(error, 'retry-after'))).toBeGreaterThan(0)
      expect(Number(headerOf(error, 'retry-after'))).toBeLessThanOrEqual(60)
      expect(free.upstream.requests).toHaveLength(10)
    } finally {
      await free.close()
    }
  })
})
