import { describe, expect, it } from 'vitest'
import { factsOf, listModels, wiresOf } from '../../server/catalog/catalog.ts'
import { createPrices } from '../../server/catalog/prices.ts'

const SAMPLING = ['temperature', 'top_p']

/** provider, model, how it is told to think, whether it takes sampling parameters, longest answer. */
const MODELS: readonly (readonly [string, string, string | null, boolean, number | null])[] = [
  ['openai', 'gpt-4o', 'none', true, 16_384],
  ['openai', 'gpt-4o-2024-08-06', 'none', true, null],
  ['openai', 'gpt-3.5-turbo-0125', 'none', true, null],
  ['openai', 'ft:gpt-4o-2024-08-06:acme::a1', 'none', true, null],
  ['openai', 'gpt-5', 'effort', false, 128_000],
  ['openai', 'gpt-5-2025-08-07', 'effort', false, null],
  ['openai', 'gpt-5-chat-latest', 'none', true, null],
  ['openai', 'gpt-5.1', 'effort', true, 128_000],
  ['openai', 'gpt-5.4-mini-2026-03-17', 'effort', true, null],
  ['openai', 'gpt-5.3-codex', 'effort', false, 128_000],
  ['openai', 'gpt-5.6-terra', 'effort', false, 128_000],
  ['openai', 'gpt-6-astra', 'effort', false, 128_000],
  ['openai', 'gpt-11-nova', 'effort', false, null],
  ['openai', 'o3', 'effort', false, 100_000],
  ['openai', 'o4-mini-2025-04-16', 'effort', false, null],
  ['azure-openai', 'gpt-5-mini', 'effort', false, 128_000],
  ['azure-openai', 'o4-mini', 'effort', false, 100_000],
  ['bedrock', 'us.openai.gpt-5.6-terra', 'effort', false, 128_000],
  ['anthropic', 'claude-3-haiku-20240307', 'none', true, 4_096],
  ['anthropic', 'claude-3-5-sonnet-20241022', 'none', true, 8_192],
  ['anthropic', 'claude-3-7-sonnet-latest', 'budget', true, 64_000],
  ['anthropic', 'claude-opus-4-20250514', 'budget', true, 32_000],
  ['anthropic', 'claude-opus-4-1-20250805', 'budget', true, 32_000],
  ['anthropic', 'claude-sonnet-4-20250514', 'budget', true, 64_000],
  ['anthropic', 'claude-sonnet-4-5', 'budget', true, 64_000],
  ['anthropic', 'claude-haiku-4-5-20251001', 'budget', true, 64_000],
  ['anthropic', 'claude-opus-4-5-20251101', 'budget', true, 64_000],
  ['anthropic', 'claude-opus-4-6', 'adaptive', true, 128_000],
  ['anthropic', 'claude-sonnet-4.6', 'adaptive', true, 128_000],
  ['anthropic', 'claude-opus-4-7', 'adaptive', false, 128_000],
  ['anthropic', 'claude-opus-4-8', 'adaptive', false, 128_000],
  ['anthropic', 'claude-sonnet-5', 'adaptive', false, 128_000],
  ['anthropic', 'claude-haiku-5-5-20261007', 'adaptive', false, 128_000],
  ['anthropic', 'claude-fable-5-2', 'adaptive', false, 128_000],
  ['bedrock', 'us.anthropic.claude-opus-4-7', 'adaptive', false, 128_000],
  ['bedrock', 'anthropic.claude-3-haiku-20240307-v1:0', 'none', true, 4_096],
  ['bedrock', 'eu.anthropic.claude-haiku-4-5-20251001-v1:0', 'budget', true, 64_000],
  ['google', 'gemini-2.0-flash', 'none', true, 8_192],
  ['google', 'gemini-2.5-flash', 'budget', true, 65_536],
  ['google', 'gemini-2.5-pro-preview-06-05', 'budget', true, 65_536],
  ['google', 'gemini-3-flash-preview', 'effort', true, 65_536],
  ['google', 'gemini-3.7-flash', 'effort', true, 65_536],
  ['google', 'gemini-4-argon', 'effort', true, null],
  ['xai', 'grok-4.6', 'effort', true, null],
]

describe('factsOf()', () => {
  it.each(MODELS)('%s %s thinks by %s, sampling %s, at most %s', (provider, model, thinking, sampling, most) => {
    const facts = factsOf(provider, model)!
    expect(facts.thinking).toBe(thinking)
    expect(facts.maxOutputTokens).toBe(most)
    for (const parameter of SAMPLING) expect(facts.refuses.includes(parameter), parameter).toBe(!sampling)
  })

  it('says that OpenAI’s thinking models want max_completion_tokens, and that no other does', () => {
    for (const [provider, model, thinking] of MODELS) {
      expect(factsOf(provider, model)!.refuses.includes('max_tokens'), model).toBe(
        thinking === 'effort' && (model.includes('gpt-') || /^o\d/.test(model)),
      )
    }
  })

  it('says what else a family refuses', () => {
    expect(factsOf('anthropic', 'claude-opus-4-7')!.refuses).toEqual(['temperature', 'top_p', 'top_k'])
    expect(factsOf('google', 'gemini-2.5-pro')!.refuses).toEqual(['presence_penalty', 'frequency_penalty'])
    expect(factsOf('xai', 'grok-4.5')!.refuses).toContain('stop')
    expect(factsOf('xai', 'grok-4-fast-non-reasoning')!.refuses).toEqual([])
    expect(factsOf('openai', 'o3')!.refuses).toContain('stop')
  })

  it('knows nothing of models that are neither listed nor of a family, nor of a maker’s model at a host', () => {
    expect(factsOf('openai', 'whisper-1')).toBeNull()
    expect(factsOf('anthropic', 'nonsense')).toBeNull()
    expect(factsOf('openrouter', 'openai/o3')).toBeNull()
    expect(factsOf('nobody', 'gpt-5')).toBeNull()
    expect(factsOf('azure-openai', 'my-deployment')).toBeNull()
    expect(factsOf('openai', 'x'.repeat(100_000))).toBeNull()
    expect(factsOf('openai', '__proto__')).toBeNull()
  })

  it('has the listed longest answer of every model', () => {
    for (const model of listModels()) {
      const facts = factsOf(model.provider, model.id)!
      expect(facts).not.toBeNull()
      if (model.maxOutputTokens !== null) expect(facts.maxOutputTokens).toBe(model.maxOutputTokens)
    }
  })

  it('gives the same frozen object each time', () => {
    const facts = factsOf('openai', 'gpt-5')!
    expect(factsOf('openai', 'gpt-5')).toBe(facts)
    expect(Object.isFrozen(facts)).toBe(true)
  })
})

describe('wiresOf()', () => {
  it.each([
    ['openai', 'gpt-5.3-codex', ['openai-responses']],
    ['openai', 'gpt-5.1-codex-max', ['openai-responses']],
    ['openai', 'codex-mini-latest', ['openai-responses']],
    ['openai', 'gpt-5-pro', ['openai-responses']],
    ['openai', 'gpt-5.5-pro-2026-04-23', ['openai-responses']],
    ['openai', 'o3-pro', ['openai-responses']],
    ['openai', 'o4-mini-deep-research', ['openai-responses']],
    ['openai', 'gpt-audio', ['openai-chat']],
    ['openai', 'gpt-4o-mini-search-preview', ['openai-chat']],
    ['openai', 'gpt-3.5-turbo-instruct', ['openai-completions']],
    ['openai', 'text-embedding-3-small', ['openai-embeddings']],
    ['google', 'gemini-embedding-001', ['openai-embeddings']],
    ['bedrock', 'us.anthropic.claude-sonnet-4-6', ['anthropic-messages']],
    ['bedrock', 'openai.gpt-oss-20b-1:0', ['openai-chat']],
    ['bedrock', 'us.openai.gpt-5.6-terra', ['openai-responses', 'openai-chat']],
  ])('%s %s lives on %s only', (provider, model, wires) => {
    expect(wiresOf(provider, model)).toEqual(wires)
  })

  it.each([
    ['openai', 'gpt-5'],
    ['openai', 'gpt-4o'],
    ['openai', 'gpt-3.5-turbo'],
    ['openai', 'nonsense'],
    ['openrouter', 'openai/gpt-5-pro'],
    ['bedrock', 'amazon.nova-micro-v1:0'],
    ['google', 'gemini-3.8-flash'],
  ])('%s %s lives on all of its provider’s', (provider, model) => {
    expect(wiresOf(provider, model)).toBeNull()
  })
})

describe('announced prices', () => {
  const { priceOf } = createPrices()
  const input = (at: string) => priceOf('google', 'gemini-4-argon', Date.parse(at))!.rates.input

  it('change to the second at the date that was announced, in both directions', () => {
    expect(input('2026-11-30T23:59:59.999Z')).toBe(2_000_000)
    expect(input('2026-12-01T00:00:00.000Z')).toBe(4_000_000)
    expect(input('2026-11-01T00:00:00Z')).toBe(2_000_000)
    expect(input('2031-01-01T00:00:00Z')).toBe(4_000_000)
  })

  it('charge a long prompt of Haiku 5.5 at its higher rates', () => {
    const price = priceOf('anthropic', 'claude-haiku-5-5', Date.parse('2026-11-20'))!
    expect(price.rates).toMatchObject({ input: 100_000, output: 500_000, cacheRead: 10_000, cacheWrite1h: 200_000 })
    expect(price.tiers).toMatchObject([{ aboveInput: 100_000, rates: { input: 500_000, cacheWrite1h: 1_000_000 } }])
  })

  it.each([
    ['azure-openai', 'gpt-4o', 'openai', 'gpt-4o'],
    ['azure-openai', 'gpt-4o-2024-08-06', 'openai', 'gpt-4o'],
  ])('%s %s costs what %s asks for %s', (provider, model, maker, same) => {
    const at = Date.parse('2026-11-20')
    expect(priceOf(provider, model, at)!.rates).toEqual(priceOf(maker, same, at)!.rates)
  })

  it('are unknown for a deployment that says nothing of its model', () => {
    expect(priceOf('azure-openai', 'my-deployment', 0)).toBeNull()
  })
})
