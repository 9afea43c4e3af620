import { describe, expect, it } from 'vitest'
import { createRouter, type RouteTable } from '../server/router.ts'
import { routes } from '../server/routes.ts'

/** Every spelling of a path that SDKs produce leads where the path itself does. */

const PROVIDERS = new Set(['openai', 'anthropic', 'groq', 'google', 'azure-openai', 'cohere', 'models'])
const router = createRouter(routes, (name) => name !== 'models' && PROVIDERS.has(name))

const PLAIN: [method: string, path: string][] = [
  ['POST', '/v1/chat/completions'],
  ['POST', '/v1/responses'],
  ['POST', '/v1/messages'],
  ['POST', '/v1/messages/count_tokens'],
  ['POST', '/v1/embeddings'],
  ['POST', '/v1/images/generations'],
  ['GET', '/v1/models'],
  ['GET', '/v1/files'],
]

const SPELLINGS: ((path: string) => string)[] = [
  (path) => path,
  (path) => `${path}/`,
  (path) => `//${path.slice(1)}`,
  (path) => path.replaceAll('/', '//'),
  (path) => `/v1${path}`,
]

/** Where a client's base URL ends, and what its SDK puts before the endpoint. */
const PREFIXES = ['', 'v1/', 'openai/v1/', 'api/v1/', 'v1beta/', 'compatibility/v1/', 'openai/deployments/gpt-4o/']

describe('a path', () => {
  it.each(PLAIN)('%s %s is found in every spelling', (method, path) => {
    const { endpoint } = router.find(method, path)!
    for (const spell of SPELLINGS) {
      expect(router.find(method, spell(path)), spell(path)).toEqual({ endpoint, id: '', ids: [], provider: null })
    }
  })

  it.each(PLAIN)('%s %s is found under each provider, whatever its SDK puts before it', (method, path) => {
    const { endpoint } = router.find(method, path)!
    for (const provider of ['openai', 'anthropic', 'groq', 'azure-openai']) {
      for (const prefix of PREFIXES) {
        const spelled = `/v1/${provider}/${prefix}${path.slice('/v1/'.length)}`
        expect(router.find(method, spelled), spelled).toEqual({ endpoint, id: '', ids: [], provider })
      }
    }
  })

  it('of Google carries the model and its method, by itself and under the provider', () => {
    const id = 'gemini-2.5-flash:streamGenerateContent'
    for (const [path, provider] of [
      [`/v1beta/models/${id}`, null],
      [`/v1/models/${id}`, null],
      [`/v1/google/v1beta/models/${id}`, 'google'],
      [`/v1/google/models/${id}`, 'google'],
    ] as const) {
      expect(router.find('POST', path), path).toMatchObject({ id, provider })
    }
  })

  it('with an id in the middle is told from one with an id at the end', () => {
    const found = (method: string, path: string) => router.find(method, path)
    expect(found('POST', '/v1/responses/resp_1/cancel')).toMatchObject({ id: 'resp_1' })
    expect(found('GET', '/v1/responses/resp_1/input_items')).toMatchObject({ id: 'resp_1' })
    expect(found('GET', '/v1/responses/resp_1')).toMatchObject({ id: 'resp_1' })
    expect(found('GET', '/v1/models/meta-llama/llama-3%3Afree')).toMatchObject({ id: 'meta-llama/llama-3:free' })
  })

  it('with several ids gives each, decoded, and none of them takes more than its segment', () => {
    const found = (method: string, path: string) => router.find(method, path)
    const items = { ids: ['conv_1', 'msg/2'], id: 'conv_1', provider: null }
    expect(found('GET', '/v1/conversations/conv_1/items/msg%2F2')).toMatchObject(items)
    expect(found('DELETE', '/v1/openai/conversations/conv_1/items/msg%2F2/')).toMatchObject({
      ...items,
      provider: 'openai',
    })
    expect(found('GET', '/v1/conversations/conv_1/items')).toMatchObject({ ids: ['conv_1'] })
    expect(found('GET', '/v1/conversations/conv_1')).toMatchObject({ ids: ['conv_1'] })
    const one = found('GET', '/v1/conversations/conv_1/items/items')
    expect(one).toMatchObject({ ids: ['conv_1', 'items'] })
    expect(found('GET', '/v1/conversations/a/items/b/c')?.endpoint).not.toBe(one?.endpoint)
    const [two, three] = [async () => ({}) as never, async () => ({}) as never]
    const table: RouteTable = [
      ['GET', '/api/{a}/keys/{b}', two],
      ['GET', '/api/{a}/keys/{b}/uses.csv/{c}', three],
    ]
    const own = createRouter(table, () => false)
    expect(own.find('GET', '/api/1/keys/2/uses.csv/3')).toMatchObject({ endpoint: three, ids: ['1', '2', '3'] })
    expect(own.find('GET', '/api/1/keys/2/usesxcsv/3')).toBeNull()
    expect(own.find('GET', '/api/1/keys/')).toBeNull()
    expect(own.find('GET', '/api/1/keys/%')).toMatchObject({ endpoint: two, ids: ['1', '%'] })
  })

  it('without an id, of another method or of nobody leads nowhere', () => {
    for (const [method, path] of [
      ['POST', '/v1/responses//cancel'],
      ['DELETE', '/v1/chat/completions'],
      ['POST', '/v1/nobody/chat/completions'],
      ['POST', '/v2/chat/completions'],
      ['POST', '/v1/openai'],
    ] as const) {
      expect(router.find(method, path), path).toBeNull()
    }
    expect(router.otherMethod('/v1/chat/completions')).toBe('POST')
  })

  it('that says more comes before one that says less, wherever they stand in the list', () => {
    const [less, more] = [async () => ({}) as never, async () => ({}) as never]
    const tables: RouteTable[] = [
      [
        ['GET', '/v1/a/{id}', less],
        ['GET', '/v1/a/{id}/b', more],
      ],
      [
        ['GET', '/v1/a/{id}/b', more],
        ['GET', '/v1/a/{id}', less],
      ],
    ]
    for (const table of tables) expect(createRouter(table, () => false).find('GET', '/v1/a/1/b')?.endpoint).toBe(more)
  })
})
