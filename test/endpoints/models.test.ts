import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'

let app: TestApp
beforeEach(() => {
  app = testApp()
})
afterEach(() => app.close())

async function get(path: string, key = PROJECT_KEY, more: Record<string, string> = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, ...more }
  return app.fetch(new Request(`http://gateway.test${path}`, { headers }))
}

describe('GET /v1/models', () => {
  it('lists at least 45 models over the 17 providers of the contract and the sandbox, under both names', async () => {
    const response = await get('/v1/models')
    const body = await response.json()
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(Object.keys(body)).toEqual(['object', 'data', 'models', 'total'])
    expect(body.object).toBe('list')
    expect(body.models).toEqual(body.data)
    expect(body.total).toBe(body.data.length)
    expect(body.total).toBeGreaterThanOrEqual(45)
    expect(new Set(body.data.map(({ provider }: { provider: string }) => provider)).size).toBe(18)
  })

  it('has every id once, and every entry in the shape of the contract', async () => {
    const { data } = await (await get('/v1/models')).json()
    expect(new Set(data.map(({ id }: { id: string }) => id)).size).toBe(data.length)
    for (const entry of data) {
      expect(entry).toMatchObject({
        id: expect.any(String),
        object: 'model',
        created: expect.any(Number),
        owned_by: entry.provider,
        name: expect.any(String),
        provider: expect.any(String),
        category: expect.any(String),
        capabilities: expect.any(Array),
      })
      expect(entry).toHaveProperty('context_length')
      expect(entry).toHaveProperty('max_output_tokens')
      if (entry.pricing === null) continue
      expect(entry.pricing.unit).toBe('usd_per_1k_tokens')
      for (const name of ['prompt', 'completion']) expect(entry.pricing[name]).toBeGreaterThanOrEqual(0)
    }
  })

  it('shows the price that a call is billed by', async () => {
    const { pricing } = await (await get('/v1/models/gpt-4o-mini')).json()
    expect(pricing).toEqual({ prompt: 0.00015, completion: 0.0006, cached_prompt: 0.000075, unit: 'usd_per_1k_tokens' })
  })

  it('lists one category only when it is asked to', async () => {
    const { data, total } = await (await get('/v1/models?limit=3&category=embedding')).json()
    expect(total).toBe(data.length)
    expect(total).toBeGreaterThan(0)
    for (const entry of data) expect(entry.category).toBe('embedding')
  })

  it.each(['nonsense', '', '__proto__', 'Chat'])(
    'refuses the unknown category "%s" and names those known',
    async (name) => {
      const response = await get(`/v1/models?category=${name}`)
      const { error } = await response.json()
      expect([response.status, error.code, error.param]).toEqual([400, 'invalid_request', 'category'])
      expect(error.message).toMatch(/chat, .*embedding/)
    },
  )

  it('lists the same to a test key', async () => {
    expect((await (await get('/v1/models', TEST_KEY)).json()).total).toBeGreaterThanOrEqual(45)
  })

  it('is not metered', async () => {
    await get('/v1/models')
    expect(app.records).toHaveLength(0)
  })

  it('takes an unknown query and a body that nobody asked for', async () => {
    expect((await get('/v1/models?x=1&x=2&%zz')).status).toBe(200)
  })
})

describe('GET /v1/models/{id}', () => {
  it('shows every model that the list has', async () => {
    const { data } = await (await get('/v1/models')).json()
    for (const entry of data) expect(await (await get(`/v1/models/${entry.id}`)).json()).toEqual(entry)
  })

  it.each(['openai/gpt-4o-mini', 'openai%2Fgpt-4o-mini', '/openai//gpt-4o-mini/'])('takes %s', async (id) => {
    expect(await (await get(`/v1/models/${id}`)).json()).toMatchObject({ id: 'gpt-4o-mini', provider: 'openai' })
  })

  it.each(['nobody-knows-me', 'openai', '__proto__', 'constructor', '%zz', '%00', 'a'.repeat(3000)])(
    'says 404 invalid_model for %s',
    async (id) => {
      const response = await get(`/v1/models/${id}`)
      const { error } = await response.json()
      expect([response.status, error.code, error.param]).toEqual([404, 'invalid_model', 'model'])
      expect(error.message.length).toBeLessThan(300)
    },
  )

  it('only reads: POST is told so', async () => {
    const response = await app.fetch(post('/v1/models', {}))
    expect([response.status, (await response.json()).error.message]).toEqual([404, 'No route POST /v1/models: use GET'])
  })
})

describe('GET /v1/{provider}/models', () => {
  it('is that provider’s part of the catalogue, by its own ids, and each of them is found there', async () => {
    const whole = (await (await get('/v1/models')).json()).data
    for (const provider of new Set<string>(whole.map((entry: { provider: string }) => entry.provider))) {
      const { data, models, total } = await (await get(`/v1/${provider}/models`)).json()
      const part = whole.filter((entry: { provider: string }) => entry.provider === provider)
      expect([data.length, total]).toEqual([part.length, part.length])
      expect(models).toEqual(data)
      for (const [i, entry] of data.entries()) {
        expect({ ...entry, id: '' }).toEqual({ ...part[i], id: '' })
        expect([part[i].id, `${provider}/${entry.id}`]).toContain(part[i].id)
        expect(await (await get(`/v1/${provider}/models/${entry.id}`)).json()).toEqual(entry)
      }
    }
  })

  it('filters by category too', async () => {
    const { data } = await (await get('/v1/openai/models?category=embedding')).json()
    expect(data.map(({ id }: { id: string }) => id)).toContain('text-embedding-3-small')
    for (const entry of data) expect(entry.category).toBe('embedding')
  })

  it('does not know other providers’ models there', async () => {
    expect((await get('/v1/openai/models/claude-sonnet-5')).status).toBe(404)
    expect((await get('/v1/nobody/models')).status).toBe(404)
  })
})

const ANTHROPIC = { 'anthropic-version': '2023-06-01' }
interface Page {
  readonly data: readonly { readonly id: string; readonly created_at: string }[]
  readonly has_more: boolean
  readonly first_id: string | null
  readonly last_id: string | null
}

async function page(query: string, path = '/v1/models'): Promise<Page> {
  const response = await get(`${path}${query}`, PROJECT_KEY, ANTHROPIC)
  expect(response.status).toBe(200)
  return response.json()
}

describe('GET /v1/models with anthropic-version', () => {
  it('has Anthropic’s entries, newest first', async () => {
    const { data } = await page('?limit=1000')
    expect(data.find(({ id }) => id === 'claude-sonnet-5')).toEqual({
      type: 'model',
      id: 'claude-sonnet-5',
      display_name: 'Claude Sonnet 5',
      created_at: '2026-06-30T00:00:00Z',
      max_input_tokens: 1_000_000,
      max_tokens: 128_000,
      capabilities: null,
      lifecycle: 'active',
      deprecated_at: null,
      retires_at: null,
      line: null,
    })
    const dates = data.map(({ created_at }) => created_at)
    expect(dates).toEqual([...dates].sort().reverse())
    expect(data.find(({ id }) => id === 'gemini-3.5-flash')).toMatchObject({
      lifecycle: 'deprecated',
      deprecated_at: '2026-10-08T00:00:00Z',
    })
  })

  it.each([1, 7, 20, 999])('pages forward and back through all of them, %s at a time', async (limit) => {
    const all = (await page('?limit=1000')).data.map(({ id }) => id)
    const forward: string[] = []
    for (let after = ''; ; ) {
      const got = await page(`?limit=${limit}${after}`)
      forward.push(...got.data.map(({ id }) => id))
      expect([got.first_id, got.last_id]).toEqual([got.data[0]!.id, got.data.at(-1)!.id])
      expect(got.data.length).toBeLessThanOrEqual(limit)
      if (!got.has_more) break
      after = `&after_id=${encodeURIComponent(got.last_id!)}`
    }
    expect(forward).toEqual(all)
    const back: string[] = []
    for (let before = all.at(-1)!; ; ) {
      const got = await page(`?limit=${limit}&before_id=${encodeURIComponent(before)}`)
      back.unshift(...got.data.map(({ id }) => id))
      if (!got.has_more) break
      before = got.first_id!
    }
    expect(back).toEqual(all.slice(0, -1))
  })

  it('has 20 a page unless another number is asked for', async () => {
    const got = await page('')
    expect([got.data.length, got.has_more]).toEqual([20, true])
  })

  it('is empty behind the last', async () => {
    const last = (await page('?limit=1000')).last_id!
    expect(await page(`?after_id=${encodeURIComponent(last)}`)).toEqual({
      data: [],
      has_more: false,
      first_id: null,
      last_id: null,
    })
  })

  it('lists one provider’s by its own ids', async () => {
    const { data } = await page('?limit=1000', '/v1/anthropic/models')
    expect(data.map(({ id }) => id)).toContain('claude-opus-5-5')
    for (const { id } of data) expect(id).toMatch(/^claude-/)
  })

  it.each([
    ['limit', 'limit=0'],
    ['limit', 'limit=1001'],
    ['limit', 'limit=ten'],
    ['limit', 'limit=1e2'],
    ['after_id', 'after_id=nobody'],
    ['before_id', 'before_id='],
    ['before_id', 'before_id=gpt-4o&after_id=gpt-5'],
  ])('refuses %s of %s', async (param, query) => {
    const response = await get(`/v1/models?${query}`, PROJECT_KEY, ANTHROPIC)
    expect([response.status, JSON.stringify(await response.json())]).toEqual([400, expect.stringContaining(param)])
  })

  it('shows one model in the same shape', async () => {
    const one = await (await get('/v1/models/claude-sonnet-5', PROJECT_KEY, ANTHROPIC)).json()
    expect(one).toEqual((await page('?limit=1000')).data.find(({ id }) => id === 'claude-sonnet-5'))
  })

  it('suits Anthropic’s own SDK', async () => {
    const client = new Anthropic({ apiKey: PROJECT_KEY, baseURL: 'http://gateway.test', fetch: viaApp })
    const seen: string[] = []
    for await (const { id } of client.models.list({ limit: 9 })) seen.push(id)
    expect(seen).toEqual((await page('?limit=1000')).data.map(({ id }) => id))
    expect(await client.models.retrieve('claude-haiku-4-5')).toMatchObject({ display_name: 'Claude Haiku 4.5' })
  })

  it('suits OpenAI’s own SDK without it, also under a provider', async () => {
    for (const base of ['/v1', '/v1/openai']) {
      const client = new OpenAI({ apiKey: PROJECT_KEY, baseURL: `http://gateway.test${base}`, fetch: viaApp })
      const seen: string[] = []
      for await (const { id } of client.models.list()) seen.push(id)
      expect(seen).toContain('gpt-4o')
      expect(seen.includes('claude-sonnet-5')).toBe(base === '/v1')
    }
  })
})

const viaApp: typeof fetch = (input, init) => app.fetch(new Request(input, init))
