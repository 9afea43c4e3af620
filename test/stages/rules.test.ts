import { describe, expect, it } from 'vitest'
import { rulesOf } from '../../db/model/key-rules.ts'
import { ENDPOINTS } from '../../db/model/settings.ts'
import { routes } from '../../server/routes.ts'
import { HELLO, PROJECT_KEY, post } from '../helpers/app.ts'
import { app, ask, bench, clock, codeOf, OTHER_KEY, SIBLING_KEY, START, setUp, upstream } from './rules-kit.ts'

bench()

describe('allowed endpoints', () => {
  /** A request of each route that could be a call. */
  const calls = routes
    .filter(([, path]) => path.startsWith('/v1/'))
    .map(([method, path]) => [
      method,
      path.replace('{id}', path.includes('models') ? 'gemini-2.5-flash:generateContent' : 'file-1'),
    ])

  it('are known by name, every one of them, and each refuses a key that may not use it', async () => {
    setUp({ key: { allowedEndpoints: ['nothing'] } })
    await app.deps.providerObjects.add({ projectId: 'prj_one', provider: 'openai' }, ['file-1'], START)
    for (const [method, path] of calls) {
      const init = post(path!, { ...HELLO, input: 'Hi' })
      const before = app.records.length
      const response =
        method === 'POST'
          ? await app.fetch(init)
          : await app.fetch(new Request(init.url, { method: method!, headers: init.headers }))
      if (app.records.length > before) expect([path, response.status]).toEqual([path, 403])
    }
    expect(app.records.every(({ errorCode }) => errorCode === 'insufficient_permissions')).toBe(true)
    expect([...new Set(app.records.map(({ endpoint }) => endpoint))].sort()).toEqual([...ENDPOINTS].sort())
    expect(upstream.requests).toHaveLength(0)
  })

  it('let those pass that are in the list, and other keys', async () => {
    setUp({ key: { allowedEndpoints: ['embeddings'] } })
    expect((await ask('text-embedding-3-small', { path: '/v1/embeddings' })).status).toBe(200)
    const refused = await ask('gpt-4o-mini')
    expect(await codeOf(refused)).toEqual([403, 'insufficient_permissions'])
    expect(refused.headers.get('x-should-retry')).toBe('false')
    expect((await ask('gpt-4o-mini', { as: SIBLING_KEY })).status).toBe(200)
  })
})

describe('own requests a minute', () => {
  const limit = (requestsPerMinute: number) => ({ limits: { requestsPerMinute } })
  const statuses = (count: number, as = PROJECT_KEY) =>
    Promise.all(Array.from({ length: count }, async () => (await ask('gpt-4o-mini', { as })).status))
  const good = (found: readonly number[]) => found.filter((status) => status === 200).length
  const windowOf = ({ headers }: Response) =>
    ['limit', 'remaining'].map((name) => Number(headers.get(`x-ratelimit-${name}`)))

  it('of a key hold for it alone, exactly', async () => {
    setUp({ key: limit(5) })
    expect(good(await statuses(20))).toBe(5)
    expect(good(await statuses(20, SIBLING_KEY))).toBe(20)
    expect(upstream.requests).toHaveLength(25)
    clock.advance(60_000)
    expect(good(await statuses(20))).toBe(5)
  })

  it('of a project hold for all its keys together', async () => {
    setUp({ project: limit(7) })
    expect(good([...(await statuses(5)), ...(await statuses(5, SIBLING_KEY))])).toBe(7)
    expect(good(await statuses(5, OTHER_KEY))).toBe(5)
  })

  it('of key, project and plan hold together: the tightest wins, whichever it is', async () => {
    for (const [key, project, expected] of [
      [4, 20, 4],
      [20, 6, 6],
      [30, 40, 10],
    ] as const) {
      setUp({ key: limit(key), project: limit(project), plan: 'free' })
      expect(good(await statuses(50))).toBe(expected)
      await app.close()
    }
  })

  it('that refuse a call take nothing from the wider ones', async () => {
    setUp({ key: limit(2), project: limit(6), plan: 'free' })
    expect(good(await statuses(50))).toBe(2)
    expect(good(await statuses(50, SIBLING_KEY))).toBe(4)
    // Ten are the plan's: six are taken.
    expect(good(await statuses(50, OTHER_KEY))).toBe(4)
  })

  it('of a narrower window are missed by nobody when a wider one refuses: both begin anew together', async () => {
    setUp({ key: limit(8), project: limit(9), plan: 'free' })
    expect(good(await statuses(10, OTHER_KEY))).toBe(10)
    expect(good(await statuses(50))).toBe(0)
    clock.advance(60_000)
    expect(good(await statuses(50))).toBe(8)
    expect(good(await statuses(50, SIBLING_KEY))).toBe(1)
  })

  it('are told by the headers: the tightest of all windows', async () => {
    setUp({ key: limit(5), project: limit(7), plan: 'free' })
    expect(windowOf(await ask('gpt-4o-mini'))).toEqual([5, 4])
    expect(windowOf(await ask('gpt-4o-mini', { as: SIBLING_KEY }))).toEqual([7, 5])
    await statuses(3, SIBLING_KEY)
    expect(windowOf(await ask('gpt-4o-mini'))).toEqual([7, 1])
    await statuses(3, OTHER_KEY)
    expect(windowOf(await ask('gpt-4o-mini', { as: OTHER_KEY }))).toEqual([10, 0])
  })

  it('are told where the plan has no limit', async () => {
    setUp({ key: limit(5) })
    expect(windowOf(await ask('gpt-4o-mini'))).toEqual([5, 4])
  })

  it('say on a refusal whose they are', async () => {
    for (const level of ['key', 'project'] as const) {
      setUp({ [level]: limit(1), plan: 'free' })
      await ask('gpt-4o-mini')
      const response = await ask('gpt-4o-mini')
      expect(windowOf(response)).toEqual([1, 0])
      expect(response.headers.get('retry-after')).toBe('40')
      const { error } = await response.json()
      expect(error).toMatchObject({ code: 'rate_limit_exceeded', details: { limit: 1, limit_of: level, plan: 'Free' } })
      expect(error.message).toBe(`This ${level} allows 1 requests a minute; try again in 40 s`)
      await app.close()
    }
  })
})

describe('defaults of a key', () => {
  const bodyOf = async (headers: Record<string, string>) => (await ask('gpt-4o-mini', { headers })).json()

  it.each([
    [true, null, true],
    [true, 'off', false],
    [true, 'on', true],
    [false, null, false],
    [false, 'off', false],
    [false, 'on', true],
  ])('body_additions %s under the header %s: %s', async (bodyAdditions, header, expected) => {
    setUp({ key: { bodyAdditions } })
    const body = await bodyOf(header === null ? {} : { 'x-watchllm-body': header })
    expect('watchllm' in body).toBe(expected)
  })

  const cacheable = { system: [{ type: 'text', text: 'Long '.repeat(2000) }], max_tokens: 10 }
  it.each([
    ['respect', null, false],
    ['auto', null, true],
    ['off', null, false],
    ['auto', 'respect', false],
    ['off', 'auto', true],
  ] as const)('prompt_cache %s under the header %s: %s', async (promptCache, header, expected) => {
    setUp({ key: { promptCache } })
    const headers: Record<string, string> = header === null ? {} : { 'x-watchllm-prompt-cache': header }
    await ask('claude-sonnet-4-5', { path: '/v1/messages', body: cacheable, headers })
    expect(upstream.requests[0]!.body.toString().includes('cache_control')).toBe(expected)
  })

  it('a header that makes no sense is refused as ever', async () => {
    setUp({ key: { promptCache: 'auto' } })
    expect(await codeOf(await ask('gpt-4o-mini', { headers: { 'x-watchllm-prompt-cache': 'maybe' } }))).toEqual([
      400,
      'invalid_request',
    ])
  })
})

it('a key without settings is under no rule', () => {
  const plain = { keyId: 'key_1', projectId: 'prj_1', settings: {}, projectSettings: {}, defaultProvider: null }
  expect(rulesOf(plain)).toBeNull()
  expect(
    rulesOf({ ...plain, settings: { allowedModels: null, bodyAdditions: true, routing: { mode: 'auto' } } }),
  ).toBeNull()
  setUp({})
})
