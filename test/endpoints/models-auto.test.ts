import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TASKS } from '../../server/catalog/catalog.ts'
import type { Account } from '../../server/deps.ts'
import { modelsAuto } from '../../server/endpoints/models-auto.ts'
import { failed } from '../../server/endpoints/reply.ts'
import { fetchFace } from '../../server/fetch.ts'
import { PROJECT_KEY, type TestApp, testApp } from '../helpers/app.ts'

const ACCOUNT: Account = { id: 'env', own: false, apiKey: 'k', origin: 'https://provider.test', basePath: '' }
let configured: readonly string[]
let app: TestApp
beforeEach(() => {
  configured = []
  app = testApp({ deps: { credentials: { of: (id) => (configured.includes(id) ? ACCOUNT : null) } } })
})
afterEach(() => app.close())

async function get(query: string, key = PROJECT_KEY): Promise<Response> {
  const headers = { authorization: `Bearer ${key}` }
  return answer(new Request(`http://gateway.test/v1/models/auto${query}`, { headers }))
}

const answer = fetchFace((incoming) => modelsAuto(incoming, app.deps).catch((thrown) => failed(app.deps, thrown)))

describe('GET /v1/models/auto', () => {
  it.each(TASKS)('names a model for %s, why, and what comes after it', async (task) => {
    const response = await get(`?task=${task}`)
    const body = await response.json()
    expect([response.status, Object.keys(body), body.task]).toEqual([200, ['task', 'primary', 'alternatives'], task])
    expect(body.alternatives).toHaveLength(4)
    for (const pick of [body.primary, ...body.alternatives]) {
      expect(pick).toEqual({
        id: expect.any(String),
        name: expect.any(String),
        provider: expect.any(String),
        reason: expect.any(String),
        configured: false,
      })
    }
  })

  it.each(TASKS)('prefers, for %s, the providers that there are credentials for', async (task) => {
    configured = ['mistral', 'qwen']
    const { primary, alternatives } = await (await get(`?task=${task}`)).json()
    expect(configured).toContain(primary.provider)
    expect([primary, ...alternatives].filter((pick) => pick.configured).length).toBeGreaterThan(2)
  })

  it('is general when no task is named', async () => {
    expect(await (await get('')).json()).toEqual(await (await get('?task=general')).json())
  })

  it.each(['nonsense', '', 'General', '__proto__'])(
    'refuses the unknown task "%s" and names those known',
    async (task) => {
      const response = await get(`?task=${task}`)
      const { error } = await response.json()
      expect([response.status, error.code, error.param]).toEqual([400, 'invalid_request', 'task'])
      for (const known of TASKS) expect(error.message).toContain(known)
    },
  )

  it('wants a key, and is not metered', async () => {
    expect((await get('', 'lgw_proj_nobody0123456789abcdef0123456')).status).toBe(401)
    await get('')
    expect(app.records).toHaveLength(0)
  })
})
