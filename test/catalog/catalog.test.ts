import { describe, expect, it } from 'vitest'
import {
  CATEGORIES,
  isCategory,
  listModels,
  type Model,
  modelEntry,
  modelOf,
  publicId,
  resolveModel,
  wiresOf,
} from '../../server/catalog/catalog.ts'
import { PROVIDER_IDS } from '../../server/catalog/models/index.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import { PROVIDERS } from '../../server/providers/index.ts'

const NOW_MS = Date.parse('2026-11-20T12:00:00Z')
const { priceOf } = createPrices()
const models = listModels()
const named = models.map((model) => [publicId(model), model] as const)

describe('the catalogue', () => {
  it('has at least 45 models of at least 12 providers, each provider with a row and each row with models', () => {
    expect(models.length).toBeGreaterThanOrEqual(45)
    expect(new Set(models.map((model) => model.provider)).size).toBeGreaterThanOrEqual(12)
    expect([...PROVIDER_IDS].sort()).toEqual([...PROVIDERS.keys()].sort())
  })

  it('lists no id twice', () => {
    expect(new Set(named.map(([id]) => id)).size).toBe(models.length)
  })

  it.each(named)('%s leads to itself, has a price and sound facts', (id, model) => {
    expect(resolveModel(id)).toMatchObject({ provider: model.provider, model: model.id })
    expect(modelOf(id)).toBe(model)
    expect(priceOf(model.provider, model.id, NOW_MS)).not.toBeNull()
    expect(model.created).toBeGreaterThan(Date.parse('2022-01-01') / 1000)
    expect(model.created * 1000).toBeLessThan(NOW_MS)
    expect(Number.isInteger(model.created)).toBe(true)
    expect(model.contextLength ?? 1).toBeGreaterThan(0)
    if (model.maxOutputTokens !== null) expect(model.maxOutputTokens).toBeLessThanOrEqual(model.contextLength ?? 0)
    const wires = PROVIDERS.get(model.provider)!.wires
    const chat = ['openai-chat', 'openai-responses', 'anthropic-messages', 'gemini']
    const wiresFor = { chat, completions: ['openai-completions'], embeddings: ['openai-embeddings'] }
    for (const [capability, able] of Object.entries(wiresFor)) {
      if (!(model.capabilities as readonly string[]).includes(capability)) continue
      expect(able.some((wire) => wire in wires)).toBe(true)
    }
    for (const wire of wiresOf(model.provider, model.id) ?? []) expect(wires).toHaveProperty(wire)
    expect(model.category === 'embedding').toBe(model.capabilities.includes('embeddings'))
  })

  it('has models of every provider of the contract, and one that thinks, codes, sees and embeds', () => {
    for (const provider of PROVIDERS.keys()) expect(listModels(undefined, provider).length).toBeGreaterThan(0)
    for (const capability of [
      'reasoning',
      'tools',
      'vision',
      'embeddings',
      'audio',
      'search',
      'json_schema',
    ] as const) {
      expect(models.some((model) => model.capabilities.includes(capability))).toBe(true)
    }
    expect(listModels('coding').length).toBeGreaterThan(3)
  })

  it('filters by provider, alone and with a category', () => {
    const google = listModels(undefined, 'google')
    expect(google.every((model) => model.provider === 'google')).toBe(true)
    expect(listModels('embedding', 'google').map((model) => model.id)).toEqual(['gemini-embedding-001'])
    expect(listModels(undefined, 'nobody')).toEqual([])
  })

  it('says free only of what nobody is billed for', () => {
    const free = models.filter((model) => {
      const { rates, perCall } = priceOf(model.provider, model.id, NOW_MS)!
      return rates.input === 0 && rates.output === 0 && perCall === 0
    })
    // Answered here, on the operator's machine, or by Meta's free preview.
    expect(new Set(free.map((model) => model.provider))).toEqual(new Set(['meta', 'ollama', 'sandbox']))
  })

  it('filters by category', () => {
    for (const category of CATEGORIES) {
      expect(listModels(category).every((model) => model.category === category)).toBe(true)
    }
    expect(listModels('embedding').length).toBeGreaterThan(3)
    expect(isCategory('embedding')).toBe(true)
    expect(isCategory('constructor')).toBe(false)
  })
})

describe('resolveModel()', () => {
  it.each([
    ['gpt-4o-mini', 'openai', 'gpt-4o-mini', false],
    ['gpt-4o-mini-2024-07-18', 'openai', 'gpt-4o-mini-2024-07-18', false],
    ['gpt-4o-2031-01-01', 'openai', 'gpt-4o-2031-01-01', false],
    ['gpt-9-nova', 'openai', 'gpt-9-nova', false],
    ['ft:gpt-4o-2024-08-06:acme::a1', 'openai', 'ft:gpt-4o-2024-08-06:acme::a1', false],
    ['o3-2025-04-16', 'openai', 'o3-2025-04-16', false],
    ['chatgpt-4o-latest', 'openai', 'chatgpt-4o-latest', false],
    ['text-embedding-3-small', 'openai', 'text-embedding-3-small', false],
    ['text-embedding-v3', 'qwen', 'text-embedding-v3', false],
    ['claude-sonnet-5', 'anthropic', 'claude-sonnet-5', false],
    ['claude-sonnet-4-5-20250929', 'anthropic', 'claude-sonnet-4-5-20250929', false],
    ['anthropic/claude-opus-9', 'anthropic', 'claude-opus-9', true],
    ['gemini-3.8-flash', 'google', 'gemini-3.8-flash', false],
    ['gemini-9-xenon', 'google', 'gemini-9-xenon', false],
    ['gemma-4-31b-it', 'google', 'gemma-4-31b-it', false],
    ['google/gemini-3.5-flash', 'google', 'gemini-3.5-flash', true],
    ['command-b-2031', 'cohere', 'command-b-2031', false],
    ['embed-v4.0', 'cohere', 'embed-v4.0', false],
    ['azure-openai/my-deployment', 'azure-openai', 'my-deployment', true],
    ['azure-openai/gpt-4o', 'azure-openai', 'gpt-4o', true],
    ['us.anthropic.claude-sonnet-4-6', 'bedrock', 'us.anthropic.claude-sonnet-4-6', false],
    ['apac.anthropic.claude-sonnet-9-v1:0', 'bedrock', 'apac.anthropic.claude-sonnet-9-v1:0', false],
    ['amazon.nova-micro-v1:0', 'bedrock', 'amazon.nova-micro-v1:0', false],
    ['openai.gpt-oss-120b-1:0', 'bedrock', 'openai.gpt-oss-120b-1:0', false],
    ['bedrock/arn:aws:bedrock:us-east-1:1:x/y', 'bedrock', 'arn:aws:bedrock:us-east-1:1:x/y', true],
    ['claude-sonnet-4.5', 'anthropic', 'claude-sonnet-4-5', false],
    ['anthropic/claude-opus-5.5', 'anthropic', 'claude-opus-5-5', true],
    ['openrouter/anthropic/claude-haiku-4.5', 'openrouter', 'anthropic/claude-haiku-4.5', true],
    ['mistral-large-2612', 'mistral', 'mistral-large-2612', false],
    ['deepseek-v5', 'deepseek', 'deepseek-v5', false],
    ['grok-5', 'xai', 'grok-5', false],
    ['sonar-ultra', 'perplexity', 'sonar-ultra', false],
    ['qwen3.9-max', 'qwen', 'qwen3.9-max', false],
    ['llama-3.3-70b-versatile', 'groq', 'llama-3.3-70b-versatile', false],
    ['meta-llama/Llama-3.3-70B-Instruct-Turbo', 'together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', false],
    ['openai/gpt-4o-mini', 'openai', 'gpt-4o-mini', true],
    ['openai/gpt-oss-120b', 'openai', 'gpt-oss-120b', true],
    ['groq/openai/gpt-oss-120b', 'groq', 'openai/gpt-oss-120b', true],
    ['openrouter/anthropic/claude-sonnet-5', 'openrouter', 'anthropic/claude-sonnet-5', true],
    ['ollama/whatever:7b', 'ollama', 'whatever:7b', true],
    ['sandbox/echo', 'sandbox', 'sandbox/echo', true],
    ['sandbox/error-418', 'sandbox', 'sandbox/error-418', true],
  ])('%s leads to %s', (requested, provider, model, pinned) => {
    expect(resolveModel(requested)).toEqual({ provider, model, pinned })
    expect(resolveModel(requested)).toEqual({ provider, model, pinned })
  })

  it.each([
    '',
    'nonsense',
    'openai/',
    '/gpt-4o',
    'nobody/gpt-4o',
    'anthropic/',
    'auto',
    'auto:coding',
    'constructor',
    '__proto__',
    'toString/x',
    'x'.repeat(10_000),
  ])('%s leads nowhere', (requested) => {
    expect(resolveModel(requested)).toBeNull()
  })
})

describe('modelEntry()', () => {
  const model = modelOf('gpt-4o-mini')!

  it('is the contract’s entry, priced in USD a thousand tokens', () => {
    expect(modelEntry(model, priceOf('openai', 'gpt-4o-mini', NOW_MS))).toEqual({
      id: 'gpt-4o-mini',
      object: 'model',
      created: 1_721_260_800,
      owned_by: 'openai',
      name: 'GPT-4o mini',
      provider: 'openai',
      category: 'chat',
      capabilities: ['chat', 'tools', 'vision', 'json_schema'],
      context_length: 128_000,
      max_output_tokens: 16_384,
      pricing: { prompt: 0.00015, completion: 0.0006, cached_prompt: 0.000075, unit: 'usd_per_1k_tokens' },
    })
  })

  it('says null, not 0, for a price that is not known, and 0 for what is free', () => {
    expect(modelEntry(model, null).pricing).toBeNull()
    const free = modelOf('sandbox/chat')!
    expect(modelEntry(free, priceOf('sandbox', 'sandbox/chat', NOW_MS)).pricing).toEqual({
      prompt: 0,
      completion: 0,
      unit: 'usd_per_1k_tokens',
    })
  })

  it('names the date of deprecation only where there is one', () => {
    const old: Model = { ...model, deprecatedAt: 1_800_000_000 }
    expect(modelEntry(old, null).deprecated_at).toBe(1_800_000_000)
    expect(modelEntry(model, null)).not.toHaveProperty('deprecated_at')
  })

  it('pins an id that would mean another provider', () => {
    const groq = models.find((entry) => entry.provider === 'groq' && entry.id === 'openai/gpt-oss-120b')!
    expect(modelEntry(groq, null).id).toBe('groq/openai/gpt-oss-120b')
    expect(modelOf('openai/gpt-4o-mini')?.provider).toBe('openai')
  })
})
