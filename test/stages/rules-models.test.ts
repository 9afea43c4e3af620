import { describe, expect, it } from 'vitest'
import { autoModels } from '../../server/catalog/catalog.ts'
import { post, TEST_KEY } from '../helpers/app.ts'
import { json } from '../helpers/upstream-answers.ts'
import { type Ask, app, ask, bench, CHAT, codeOf, OTHER_KEY, SIBLING_KEY, START, setUp, upstream } from './rules-kit.ts'

bench()

describe('allowed models', () => {
  const forced = (provider: string) => ({ headers: { 'x-watchllm-route': provider } })
  const cases: readonly [name: string, allowed: readonly string[], model: string, ask: Ask, may: boolean][] = [
    ['by its id', ['gpt-4o-mini'], 'gpt-4o-mini', {}, true],
    ['by its id, asked for with its provider', ['gpt-4o-mini'], 'openai/gpt-4o-mini', {}, true],
    ['by its id, at another provider', ['gpt-4o-mini'], 'gpt-4o-mini', forced('openrouter'), true],
    ['with its provider, asked for by its id', ['openai/gpt-4o-mini'], 'gpt-4o-mini', {}, true],
    ['with its provider, at another', ['openai/gpt-4o-mini'], 'gpt-4o-mini', forced('openrouter'), false],
    ['all of its provider', ['openai/*'], 'gpt-4o-mini', {}, true],
    ['all of another provider', ['anthropic/*'], 'gpt-4o-mini', {}, false],
    ['all of its provider, at another', ['openai/*'], 'gpt-4o-mini', forced('openrouter'), false],
    ['all of a provider that the header names', ['openrouter/*'], 'gpt-4o-mini', forced('openrouter'), true],
    ['another', ['gpt-4o'], 'gpt-4o-mini', {}, false],
    ['a dated snapshot of it', ['gpt-4o'], 'gpt-4o-2024-08-06', {}, false],
    ['another name of it', ['claude-sonnet-4-5'], 'claude-sonnet-4.5', {}, true],
    ['another name of another', ['claude-sonnet-4-5'], 'claude-opus-4.5', {}, false],
    ['its name as another provider’s own', ['anthropic/claude-x'], 'openrouter/anthropic/claude-x', {}, false],
    ['its name under a header', ['anthropic/claude-x'], 'anthropic/claude-x', forced('openrouter'), false],
    ['the same with its provider', ['openrouter/anthropic/claude-x'], 'openrouter/anthropic/claude-x', {}, true],
    ['a sandbox model', ['sandbox/chat'], 'sandbox/chat', {}, true],
    ['all of the sandbox', ['sandbox/*'], 'sandbox/chat', {}, true],
    ['none of the sandbox', ['openai/*'], 'sandbox/chat', {}, false],
    ['models to fall back on', ['openrouter/a/b'], 'openrouter/a/b', { body: { models: ['x/y'] } }, false],
    ['models to fall back on, all allowed', ['openrouter/*'], 'openrouter/a/b', { body: { models: ['x/y'] } }, true],
    ['with a test key', ['gpt-4o-mini'], 'gpt-4o-mini', { as: TEST_KEY }, true],
    ['with a test key, another', ['gpt-4o'], 'gpt-4o-mini', { as: TEST_KEY }, false],
    ['of the project with another key', ['gpt-4o'], 'gpt-4o-mini', { as: OTHER_KEY }, true],
  ]
  const levels = ['key', 'project'] as const
  const matrix = cases.flatMap((one) => levels.map((level) => [level, ...one] as const))

  it.each(matrix)('of the %s: %s', async (level, _name, allowed, model, how, may) => {
    setUp({ [level]: { allowedModels: [...allowed] } })
    const response = await ask(model, how)
    if (may) return expect(upstream.requests.length === 1 || response.status === 200).toBe(true)
    expect(await codeOf(response)).toEqual([403, 'model_not_allowed'])
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(upstream.requests).toHaveLength(0)
    expect(app.records).toMatchObject([{ status: 403, errorCode: 'model_not_allowed', provider: null, costPico: 0 }])
  })

  it('must be in the lists of the key and of its project', async () => {
    setUp({ key: { allowedModels: ['gpt-4o-mini', 'gpt-4o'] }, project: { allowedModels: ['gpt-4o', 'o3'] } })
    const found = await Promise.all(['gpt-4o-mini', 'gpt-4o', 'o3'].map(async (model) => (await ask(model)).status))
    expect(found).toEqual([403, 200, 403])
    expect((await ask('gpt-4o-mini', { as: SIBLING_KEY })).status).toBe(403)
    expect((await ask('o3', { as: SIBLING_KEY })).status).toBe(200)
  })

  it('are what "auto" chooses among, the best first', async () => {
    const all = autoModels('general', () => true).filter(({ provider }) => provider !== 'groq')
    const wanted = all.filter(({ provider }) => provider === 'openai').slice(0, 3)
    for (const { model } of wanted) {
      setUp({ key: { allowedModels: [`openai/${model}`] } })
      const response = await ask('auto')
      expect([response.status, response.headers.get('x-watchllm-model')]).toEqual([200, model])
      await app.close()
    }
    setUp({ key: { allowedModels: wanted.toReversed().map(({ model }) => `openai/${model}`) } })
    expect((await ask('auto')).headers.get('x-watchllm-model')).toBe(wanted[0]!.model)
  })

  it('refuse "auto" when none of them fits', async () => {
    setUp({ key: { allowedModels: ['text-embedding-3-small'] } })
    expect(await codeOf(await ask('auto:coding'))).toEqual([403, 'model_not_allowed'])
    expect(upstream.requests).toHaveLength(0)
  })

  it('refuse a batch, whose models nobody reads, unless all of its provider’s are allowed', async () => {
    for (const [allowed, status] of [
      ['gpt-4o', 403],
      ['openai/*', 200],
    ] as const) {
      setUp({ key: { allowedModels: [allowed] } })
      await app.deps.providerObjects.add({ projectId: 'prj_one', provider: 'openai' }, ['file-1'], START)
      upstream.script(json({ id: 'batch_1', object: 'batch' }))
      const body = { input_file_id: 'file-1', endpoint: CHAT, completion_window: '24h' }
      const response = await app.fetch(post('/v1/batches', body))
      expect(response.status).toBe(status)
      await app.close()
    }
  })
})
