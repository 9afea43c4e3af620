import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Receipts } from '../../server/deps.ts'
import { HELLO, PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, openaiFailure, sse } from '../helpers/upstream-answers.ts'
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

function read(id: string, key = PROJECT_KEY): Promise<Response> {
  return app.fetch(
    new Request(`http://gateway.test/v1/requests/${id}`, { headers: { authorization: `Bearer ${key}` } }),
  )
}

async function receiptOf(body: object, path = CHAT) {
  const response = await app.fetch(post(path, body))
  await response.text()
  return (await read(response.headers.get('x-request-id')!)).json()
}

describe('the receipt of a call', () => {
  it('says all that the record knows', async () => {
    const body = { ...HELLO, model: 'openai/gpt-4o-mini', user: 'u_1' }
    const headers = { 'x-watchllm-metadata': '{"team":"a"}', 'x-request-id': 'trace-1' }
    const response = await app.fetch(post(CHAT, body, headers))
    const answer = await response.json()
    const receipt = await (await read(response.headers.get('x-request-id')!)).json()
    expect(receipt).toMatchObject({
      id: response.headers.get('x-request-id'),
      object: 'watchllm.receipt',
      created_at: new Date(app.records[0]!.createdAtMs).toISOString(),
      endpoint: 'chat.completions',
      model_requested: 'openai/gpt-4o-mini',
      model: 'gpt-4o-mini',
      provider: 'openai',
      route: 'pinned',
      stream: false,
      status: 200,
      outcome: 'done',
      error_code: null,
      usage: { input: answer.usage.prompt_tokens, output: 4, source: 'provider' },
      cost: { usd: response.headers.get('x-watchllm-cost-usd'), price_version: app.prices[0]!.id },
      attempts: [{ provider: 'openai', model: 'gpt-4o-mini', outcome: 'done' }],
      adapted: [],
      upstream_request_id: 'req_of_the_provider',
      client_request_id: 'trace-1',
      user: 'u_1',
      metadata: { team: 'a' },
    })
    expect(receipt.latency_ms).toBeGreaterThanOrEqual(receipt.overhead_ms)
    expect(JSON.stringify(receipt)).not.toMatch(/lgw_|sk-provider/)
  })

  /** Decimal dollars in whole pico-dollars. */
  const pico = (usd: string) => {
    const [whole, rest = ''] = usd.split('.') as [string, string?]
    return BigInt(whole + rest.padEnd(12, '0'))
  }

  it.each([...fixtures('openai-chat', '.json'), ...fixtures('openai-chat', '.sse')])(
    'has cost lines that add up to the total: %s',
    async (name) => {
      const isStream = name.endsWith('.sse')
      upstream.script(isStream ? sse(fixture(name)) : json(fixture(name)))
      for (const model of ['gpt-4o-audio-preview', 'openai/gpt-4o', 'openai/unpriced']) {
        const { cost, usage } = await receiptOf({ ...HELLO, model, stream: isStream })
        if (model === 'openai/unpriced') {
          if (usage.source !== 'none') expect(cost).toEqual({ usd: null, price_version: null, source: null, lines: [] })
          continue
        }
        const lines = cost.lines as { counter: string; tokens: number; usd_per_million: string; usd: string }[]
        const sum = lines.reduce((total, { usd }) => total + pico(usd), 0n)
        expect(sum + pico(cost.per_call_usd)).toBe(pico(cost.usd))
        for (const { counter, tokens, usd_per_million, usd } of lines) {
          expect(tokens).toBe(usage[counter])
          expect(BigInt(tokens) * pico(usd_per_million)).toBe(pico(usd) * 1_000_000n)
        }
        const counters = lines.map(({ counter }) => counter)
        expect(new Set(counters).size).toBe(counters.length)
      }
    },
  )

  it('of a stream is there as soon as the stream has ended', async () => {
    const receipt = await receiptOf({ ...HELLO, stream: true })
    expect(receipt).toMatchObject({ stream: true, status: 200, outcome: 'done', usage: { output: 4 } })
    expect(receipt.first_byte_ms).toBeGreaterThan(0)
  })

  it.each([
    ['a provider that fails', HELLO, 502, 'provider_error', [{ provider: 'openai', outcome: 'error' }]],
    ['bad input', { model: 'gpt-4o-mini' }, 400, 'invalid_request', []],
    ['an unknown model', { ...HELLO, model: 'nobody-knows-me' }, 404, 'invalid_model', []],
  ])('tells of %s', async (_name, body, status, code, attempts) => {
    upstream.script(openaiFailure(500))
    const receipt = await receiptOf(body)
    expect(receipt).toMatchObject({ status, outcome: 'error', error_code: code, attempts, usage: { source: 'none' } })
    expect(receipt.attempts).toHaveLength(attempts.length)
    if (receipt.cost.usd !== null) expect(receipt.cost.usd).toBe('0')
  })
})

describe('a receipt', () => {
  it('is shown to every key of the project', async () => {
    const response = await app.fetch(post(CHAT, HELLO))
    expect((await read(response.headers.get('x-request-id')!, TEST_KEY)).status).toBe(200)
  })

  it('is not shown to another project: 404, as if it did not exist', async () => {
    const response = await app.fetch(post(CHAT, HELLO))
    const id = response.headers.get('x-request-id')!
    const stranger = { ...(await app.deps.directory.lookup(PROJECT_KEY))!, projectId: 'prj_other' }
    const other = testApp({ deps: { receipts: app.deps.receipts, directory: { lookup: () => stranger } } })
    const authorization = { authorization: `Bearer ${PROJECT_KEY}` }
    const hidden = await other.fetch(new Request(`http://gateway.test/v1/requests/${id}`, { headers: authorization }))
    const missing = await other.fetch(
      new Request('http://gateway.test/v1/requests/req_none', { headers: authorization }),
    )
    expect([hidden.status, missing.status]).toEqual([404, 404])
    const [one, two] = [await hidden.json(), await missing.json()]
    expect(one.error.message.replace(id, 'X')).toBe(two.error.message.replace('req_none', 'X'))
    await other.close()
  })

  it.each(['req_none', '', '__proto__', '%00', "'; drop table calls; --", 'x'.repeat(3000)])(
    'that nobody has is 404: %s',
    async (id) => {
      const response = await read(encodeURIComponent(id))
      const { error } = await response.json()
      expect([response.status, error.code]).toEqual([404, 'not_found'])
      expect(error.message.length).toBeLessThan(150)
    },
  )

  it('waits for a call that has just ended to reach the database', async () => {
    let isDrained = false
    const receipts: Receipts = { find: async (project, id) => (isDrained ? app.deps.receipts.find(project, id) : null) }
    const journal = {
      ...app.deps.journal,
      async drained() {
        isDrained = true
      },
    }
    const slow = testApp({ deps: { receipts, journal } })
    const response = await app.fetch(post(CHAT, HELLO))
    const request = new Request(`http://gateway.test/v1/requests/${response.headers.get('x-request-id')}`, {
      headers: { authorization: `Bearer ${PROJECT_KEY}` },
    })
    expect((await slow.fetch(request)).status).toBe(200)
    await slow.close()
  })

  it.each([
    ['the database is away', { find: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7')) }, null],
    [
      'the journal does not drain in time',
      { find: async () => null },
      () => Promise.reject(new Error('not in 2000 ms')),
    ],
  ])('is 503, to be tried again, while %s', async (_name, receipts, drained) => {
    const journal = drained === null ? app.deps.journal : { ...app.deps.journal, drained }
    const cut = testApp({ deps: { receipts, journal } })
    const headers = { authorization: `Bearer ${PROJECT_KEY}` }
    const response = await cut.fetch(new Request('http://gateway.test/v1/requests/req_x', { headers }))
    const text = await response.text()
    expect([response.status, JSON.parse(text).error.code]).toEqual([503, 'service_unavailable'])
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(text).not.toContain('10.0.0.7')
    await cut.close()
  })
})
