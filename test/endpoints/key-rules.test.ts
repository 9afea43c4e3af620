import { describe, expect, it } from 'vitest'
import { PROJECT_KEY } from '../helpers/app.ts'
import { app, bench, SIBLING_KEY, setUp } from '../stages/rules-kit.ts'

bench()

const get = (path: string, as = PROJECT_KEY, method = 'GET') =>
  app.fetch(new Request(`http://gateway.test${path}`, { method, headers: { authorization: `Bearer ${as}` } }))

const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code

describe('what a key may use', () => {
  it('is all that its lists of models show, in both shapes and one by one', async () => {
    setUp({
      key: { allowedModels: ['gpt-4o-mini', 'groq/*'] },
      project: { allowedModels: ['gpt-4o-mini', 'anthropic/*'] },
    })
    const listed = (await (await get('/v1/models')).json()) as { data: { id: string }[]; total: number }
    expect(listed.data.map(({ id }) => id)).toEqual(['gpt-4o-mini', 'azure-openai/gpt-4o-mini'])
    expect(listed.total).toBe(2)
    expect((await get('/v1/models/gpt-4o-mini')).status).toBe(200)
    const refused = await get('/v1/models/gpt-4o')
    expect([refused.status, await codeOf(refused)]).toEqual([404, 'invalid_model'])
    const groq = (await (await get('/v1/groq/models')).json()) as { total: number }
    expect(groq.total).toBe(0)
    const siblings = (await (await get('/v1/models', SIBLING_KEY)).json()) as { data: { provider: string }[] }
    const providers = new Set(siblings.data.map(({ provider }) => provider))
    expect(providers).toEqual(new Set(['openai', 'azure-openai', 'anthropic']))
  })

  it('is what `auto` leads to, or an error that says so', async () => {
    setUp({ key: { allowedModels: ['openai/*'] } })
    const auto = (await (await get('/v1/models/auto?task=coding')).json()) as { primary: { provider: string } }
    expect(auto.primary.provider).toBe('openai')
    await app.close()
    setUp({ key: { allowedModels: ['openai/text-embedding-3-small'] } })
    const none = await get('/v1/models/auto?task=coding')
    expect([none.status, await codeOf(none)]).toEqual([403, 'model_not_allowed'])
  })

  it.each([
    ['GET', '/v1/responses/resp_1'],
    ['DELETE', '/v1/responses/resp_1'],
    ['POST', '/v1/responses/resp_1/cancel'],
    ['GET', '/v1/responses/resp_1/input_items'],
    ['POST', '/v1/conversations'],
    ['GET', '/v1/conversations/conv_1'],
    ['POST', '/v1/conversations/conv_1'],
    ['DELETE', '/v1/conversations/conv_1'],
    ['GET', '/v1/conversations/conv_1/items'],
    ['POST', '/v1/conversations/conv_1/items'],
    ['GET', '/v1/conversations/conv_1/items/msg_1'],
    ['DELETE', '/v1/conversations/conv_1/items/msg_1'],
  ])('what was kept of responses is closed to a key without responses: %s %s', async (method, path) => {
    setUp({ key: { allowedEndpoints: ['chat.completions'] } })
    const refused = await get(path, PROJECT_KEY, method)
    expect([refused.status, await codeOf(refused)]).toEqual([403, 'insufficient_permissions'])
  })
})
