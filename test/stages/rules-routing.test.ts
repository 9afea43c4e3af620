import { describe, expect, it } from 'vitest'
import { autoModels } from '../../server/catalog/catalog.ts'
import { PROJECT_KEY, TEST_KEY } from '../helpers/app.ts'
import { json, openaiFailure } from '../helpers/upstream-answers.ts'
import { app, ask, bench, codeOf, OTHER_KEY, setUp, upstream } from './rules-kit.ts'

bench()

describe('routing', () => {
  const both = ['preferred', 'failover'] as const
  /** [what is asked for, the preferred provider] -> where each mode leads: [provider, model, rule] or a code. */
  const cases: readonly [
    model: string,
    provider: string,
    headers: Record<string, string>,
    preferred: string,
    failover: string,
  ][] = [
    ['gpt-4o-mini', 'openai', {}, 'openai gpt-4o-mini model', 'openai gpt-4o-mini failover'],
    ['gpt-4o-mini', 'azure-openai', {}, 'azure-openai gpt-4o-mini preferred', 'azure-openai gpt-4o-mini failover'],
    ['gpt-4o-mini', 'mistral', {}, 'openai gpt-4o-mini model', 'mistral gpt-4o-mini failover'],
    ['openai/gpt-4o-mini', 'azure-openai', {}, 'openai gpt-4o-mini pinned', 'model_not_allowed'],
    [
      'azure-openai/gpt-4o-mini',
      'azure-openai',
      {},
      'azure-openai gpt-4o-mini pinned',
      'azure-openai gpt-4o-mini failover',
    ],
    ['nobody-knows-me', 'ollama', {}, 'ollama nobody-knows-me preferred', 'ollama nobody-knows-me failover'],
    ['gpt-4o-mini', 'groq', {}, 'openai gpt-4o-mini model', 'no_provider_key'],
    ['nobody-knows-me', 'groq', {}, 'invalid_model', 'no_provider_key'],
    [
      'gpt-4o-mini',
      'azure-openai',
      { 'x-watchllm-route': 'openrouter' },
      'openrouter gpt-4o-mini header',
      'openrouter gpt-4o-mini header',
    ],
    [
      'gpt-4o-mini',
      'azure-openai',
      { 'x-watchllm-route': 'openai' },
      'openai gpt-4o-mini header',
      'openai gpt-4o-mini header',
    ],
    ['sandbox/chat', 'openai', {}, 'sandbox sandbox/chat pinned', 'model_not_allowed'],
  ]
  const matrix = cases.flatMap(([model, provider, headers, preferred, failover]) =>
    both.map((mode) => [mode, model, provider, headers, mode === 'preferred' ? preferred : failover] as const),
  )

  const whereTo = async (response: Response) => {
    if (response.status !== 200) return (await response.json()).error.code
    return ['provider', 'model', 'route'].map((name) => response.headers.get(`x-watchllm-${name}`)).join(' ')
  }

  it.each(matrix)('%s: %s at %s', async (mode, model, provider, headers, expected) => {
    setUp({ key: { routing: { mode, provider } } })
    expect(await whereTo(await ask(model, { headers }))).toBe(expected)
  })

  it.each(cases)(
    'of the project: %s at %s, as a preference of its keys that have none',
    async (model, provider, headers, preferred) => {
      setUp({ provider })
      expect(await whereTo(await ask(model, { headers }))).toBe(preferred.replace(' preferred', ' project'))
      expect((await ask('gpt-4o-mini', { as: OTHER_KEY })).headers.get('x-watchllm-provider')).toBe('openai')
    },
  )

  it('of the key goes before its project’s', async () => {
    setUp({ key: { routing: { mode: 'preferred', provider: 'azure-openai' } }, provider: 'openrouter' })
    expect(await whereTo(await ask('gpt-4o-mini'))).toBe('azure-openai gpt-4o-mini preferred')
  })

  it('names a model as the provider does', async () => {
    setUp({ key: { routing: { mode: 'failover', provider: 'anthropic' } } })
    upstream.script(openaiFailure(500))
    await ask('claude-sonnet-4.5')
    expect(app.records).toMatchObject([{ provider: 'anthropic', model: 'claude-sonnet-4-5' }])
  })

  it('a path goes before it', async () => {
    setUp({ key: { routing: { mode: 'failover', provider: 'azure-openai' } } })
    expect(await whereTo(await ask('gpt-4o-mini', { path: '/v1/openai/chat/completions' }))).toMatch(/ path$/)
  })

  it.each(both)('%s: "auto" goes to its best model there', async (mode) => {
    const best = autoModels('general', () => true).find(({ provider }) => provider === 'mistral')!
    setUp({ key: { routing: { mode, provider: 'mistral' } } })
    expect(await whereTo(await ask('auto'))).toBe(`mistral ${best.model} auto:general`)
  })

  it('failover: "auto" is refused where the provider has no model for it', async () => {
    setUp({ key: { routing: { mode: 'failover', provider: 'ollama' } } })
    expect(await whereTo(await ask('auto:vision'))).toMatch(/model_not_allowed|ollama/)
    await app.close()
    setUp({ key: { routing: { mode: 'failover', provider: 'openai' }, allowedModels: ['anthropic/*'] } })
    expect(await whereTo(await ask('auto'))).toBe('model_not_allowed')
  })

  it('preferred: "auto" goes where there is an account', async () => {
    setUp({ key: { routing: { mode: 'preferred', provider: 'groq' } } })
    expect(await whereTo(await ask('auto'))).toMatch(/^openai /)
  })

  it('preferred: what the provider has no endpoint for goes where it would go', async () => {
    setUp({ key: { routing: { mode: 'preferred', provider: 'anthropic' } } })
    expect((await ask('text-embedding-3-small', { path: '/v1/embeddings' })).headers.get('x-watchllm-provider')).toBe(
      'openai',
    )
    expect(await codeOf(await ask('nobody-knows-me', { path: '/v1/embeddings' }))).toEqual([404, 'invalid_model'])
  })

  it('holds against the allowed models where it leads', async () => {
    setUp({ key: { routing: { mode: 'preferred', provider: 'azure-openai' }, allowedModels: ['openai/*'] } })
    expect(await whereTo(await ask('gpt-4o-mini'))).toBe('model_not_allowed')
  })

  it('leaves test keys at the sandbox', async () => {
    setUp({ key: { routing: { mode: 'failover', provider: 'openai' } } })
    expect((await ask('gpt-4o-mini', { as: TEST_KEY })).headers.get('x-watchllm-provider')).toBe('sandbox')
  })

  it('failover: files are noted where they are made', async () => {
    setUp({ key: { routing: { mode: 'failover', provider: 'azure-openai' } } })
    upstream.script(json({ id: 'file-9', object: 'file' }))
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob(['{}']), 'a.jsonl')
    const made = await app.fetch(
      new Request('http://gateway.test/v1/files', {
        method: 'POST',
        headers: { authorization: `Bearer ${PROJECT_KEY}` },
        body: form,
      }),
    )
    expect([made.status, made.headers.get('x-watchllm-provider')]).toEqual([200, 'azure-openai'])
    const owned = (provider: string) => app.deps.providerObjects.owned({ projectId: 'prj_one', provider }, ['file-9'])
    expect([(await owned('azure-openai')).size, (await owned('openai')).size]).toEqual([1, 0])
  })
})
