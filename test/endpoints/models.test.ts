import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'

let app: TestApp
beforeEach(() => {
  app = testApp()
})
afterEach(() => app.close())

async function get(path: string, key = PROJECT_KEY): Promise<Response> {
  return app.fetch(new Request(`http://gateway.test${path}`, { headers: { authorization: `Bearer ${key}` } }))
}

describe('GET /v1/models', () => {
  it('lists at least 45 models over at least 12 providers, under both names', async () => {
    const response = await get('/v1/models')
    const body = await response.json()
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(Object.keys(body)).toEqual(['object', 'data', 'models', 'total'])
    expect(body.object).toBe('list')
    expect(body.models).toEqual(body.data)
    expect(body.total).toBe(body.data.length)
    expect(body.total).toBeGreaterThanOrEqual(45)
    expect(new Set(body.data.map(({ provider }: { provider: string }) => provider)).size).toBeGreaterThanOrEqual(12)
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
