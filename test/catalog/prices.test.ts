import { calcPrice, findProvider, type MatchLogic } from '@pydantic/genai-prices'
import { describe, expect, it } from 'vitest'
import { costPico, type Price } from '../../db/model/money.ts'
import { inputTotal, NO_USAGE, outputTotal, type Usage } from '../../db/model/usage.ts'
import manifest from '../../package.json' with { type: 'json' }
import { createPrices, overridesSchema } from '../../server/catalog/prices.ts'
import { SHIPPED } from '../../server/catalog/shipped.ts'
import { findPriced, TABLES_VERSION } from '../../server/catalog/tables.ts'
import { Dice } from '../../server/providers/sandbox/random.ts'

const AT_MS = Date.parse('2026-11-20T12:00:00Z')
const { priceOf } = createPrices()
const TABLES = {
  openai: 'openai',
  anthropic: 'anthropic',
  google: 'google',
  cohere: 'cohere',
  bedrock: 'aws',
  groq: 'groq',
  deepseek: 'deepseek',
  mistral: 'mistral',
  xai: 'x-ai',
  perplexity: 'perplexity',
  together: 'together',
  openrouter: 'openrouter',
}
type Known = keyof typeof TABLES

function namesIn(logic: MatchLogic): string[] {
  if ('or' in logic) return logic.or.flatMap(namesIn)
  if ('and' in logic) return logic.and.flatMap(namesIn)
  if ('equals' in logic) return [logic.equals, logic.equals.toUpperCase()]
  if ('starts_with' in logic)
    return [logic.starts_with, `${logic.starts_with}-2026-01-01`, `${logic.starts_with}20260101`]
  return []
}

/** Every name that the tables' patterns spell out, as [provider, name]. */
const NAMES = Object.keys(TABLES).flatMap((provider) => {
  const { models } = findProvider({ providerId: TABLES[provider as Known] })!
  return models.flatMap((model) =>
    [model.id, ...namesIn(model.match)].map((name) => [provider as Known, name] as const),
  )
})
const DATES = [
  '2024-01-01T00:00:00Z',
  '2025-08-01T01:30:00Z',
  '2026-08-01T16:30:00Z',
  '2026-11-20T03:59:59.999Z',
  '2026-11-20T12:00:00Z',
]

const shipped = (provider: string, name: string) => Object.hasOwn(SHIPPED, `${provider}/${name.toLowerCase()}`)

/** A price of the entry is not whole pico-dollars a token, such as a cache write at 0.08333333333333334 USD a million. */
function isRounded(provider: Known, name: string): boolean {
  const prices = findPriced(provider, name)?.prices ?? {}
  const all = (Array.isArray(prices) ? prices.map((part) => part.prices) : [prices]).flatMap((part) =>
    Object.entries(part).filter(([key]) => key.endsWith('_mtok')),
  )
  return all
    .flatMap(([, value]) =>
      typeof value === 'object' ? [value.base, ...value.tiers.map((tier) => tier.price)] : [value!],
    )
    .some((usd) => Math.abs(usd * 1e6 - Math.round(usd * 1e6)) > 1e-3)
}

function theirs(provider: Known, name: string, usage: Usage, atMs: number) {
  return calcPrice(
    {
      input_tokens: inputTotal(usage),
      cache_read_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
      ...(usage.cacheWrite1h === 0 ? {} : { cache_write_1h_tokens: usage.cacheWrite1h }),
      input_audio_tokens: usage.audioInput,
      cache_audio_read_tokens: 0,
      cache_image_read_tokens: 0,
      input_image_tokens: usage.imageInput,
      output_tokens: outputTotal(usage),
      output_audio_tokens: usage.audioOutput,
      output_image_tokens: usage.imageOutput,
    },
    name,
    { providerId: TABLES[provider], timestamp: new Date(atMs) },
  )
}

function randomUsage(dice: Dice): Usage {
  const big = dice.pick([100, 10_000, 250_000, 1_000_000])
  const some = () => (dice.int(0, 2) === 0 ? 0 : dice.int(0, big))
  return {
    ...NO_USAGE,
    input: some(),
    cacheRead: some(),
    cacheWrite5m: some(),
    output: some(),
    audioInput: some(),
    audioOutput: some(),
    imageInput: some(),
    imageOutput: some(),
  }
}

describe('priceOf() against the library’s own calcPrice', () => {
  it('charges the same for every name of every provider, over random usages and times, to within its float rounding', () => {
    const dice = new Dice(20261120)
    let compared = 0
    const seen = new Set<unknown>()
    for (const [provider, name] of NAMES) {
      const entry = findPriced(provider, name)
      // That every name leads to the same entry as theirs is the next test's.
      if (entry === undefined || seen.has(entry) || shipped(provider, name)) continue
      seen.add(entry)
      const rounded = isRounded(provider, name)
      for (const date of Array.isArray(entry.prices) ? DATES : DATES.slice(-1)) {
        const atMs = Date.parse(date)
        const price = priceOf(provider, name, atMs)
        for (let i = 0; i < 5 && price !== null; i++) {
          const usage = randomUsage(dice)
          const want = theirs(provider, name, usage, atMs)!.total_price * 1e12
          const got = costPico(usage, price)
          expect(Number.isSafeInteger(got)).toBe(true)
          const rounding = rounded ? (inputTotal(usage) + outputTotal(usage)) / 2 : 1
          if (Math.abs(got - want) > Math.max(rounding, Math.abs(want) * 1e-12)) {
            expect.fail(`${provider}/${name} at ${date}: ${got} instead of ${want} for ${JSON.stringify(usage)}`)
          }
          compared++
        }
      }
    }
    expect(seen.size).toBeGreaterThan(800)
    expect(compared).toBeGreaterThan(4_000)
  })

  it('finds the same entry, or none where it finds none', () => {
    const strange = ['nothing', 'gpt', 'llama', '', ' gpt-4o ', 'gpt-4o-20240513', 'gpt-4o-20241399', 'x'.repeat(300)]
    const more = Object.keys(TABLES).flatMap((provider) => strange.map((name) => [provider as Known, name] as const))
    for (const [provider, name] of [...NAMES, ...more]) {
      const want = calcPrice({ input_tokens: 1 }, name, { providerId: TABLES[provider] })?.model.id
      expect([provider, name, findPriced(provider, name)?.id]).toEqual([provider, name, want])
    }
  })

  it('is null exactly where the tables price neither tokens nor calls', () => {
    const unpriced = new Set(
      NAMES.filter(([p, name]) => priceOf(p, name, AT_MS) === null).map(([p, name]) => findPriced(p, name)?.id),
    )
    expect([...unpriced]).toEqual(
      expect.arrayContaining(['whisper-1', 'whisper-large-v3', 'mistral-ocr-latest', 'voxtral-mini-2602']),
    )
    unpriced.delete(undefined)
    for (const id of unpriced) expect(id).toMatch(/whisper|transcribe|ocr|voxtral|voice/)
  })

  it('rounds no price but those that OpenRouter gives as a fraction without end', () => {
    const rounded = NAMES.filter(([provider, name]) => isRounded(provider, name))
    expect(new Set(rounded.map(([provider]) => provider))).toEqual(new Set(['openrouter']))
    expect(rounded.length).toBeLessThan(NAMES.length / 20)
  })
})

describe('priceOf()', () => {
  const usd = (perMillion: number) => Math.round(perMillion * 1e6)

  it.each([
    ['openai', 'gpt-4o-mini', 0.15, 0.6, 0.075],
    ['openai', 'gpt-4o-mini-2024-07-18', 0.15, 0.6, 0.075],
    ['openai', 'gpt-4o', 2.5, 10, 1.25],
    ['openai', 'ft:gpt-4o-2024-08-06:acme::a', 3.75, 15, 3.75],
    ['openai', 'gpt-4.1', 2, 8, 0.5],
    ['openai', 'gpt-5', 1.25, 10, 0.125],
    ['openai', 'o3', 2, 8, 0.5],
    ['openai', 'text-embedding-3-small', 0.02, 0, 0.02],
    ['openai', 'text-embedding-3-large', 0.13, 0, 0.13],
    ['groq', 'llama-3.3-70b-versatile', 0.59, 0.79, 0.59],
    ['groq', 'openai/gpt-oss-20b', 0.075, 0.3, 0.0375],
    ['mistral', 'mistral-large-2512', 0.5, 1.5, 0.05],
    ['xai', 'grok-4.3', 1.25, 2.5, 0.2],
    ['perplexity', 'sonar', 1, 1, 1],
    ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', 0.88, 0.88, 0.88],
    ['openrouter', 'openai/gpt-4o-mini', 0.15, 0.6, 0.075],
    ['qwen', 'qwen-plus', 0.4, 1.2, 0.4],
  ])('knows %s/%s: %d in, %d out, %d cached', (provider, model, input, output, cacheRead) => {
    const { rates } = priceOf(provider, model, AT_MS)!
    expect(rates).toMatchObject({ input: usd(input), output: usd(output), cacheRead: usd(cacheRead) })
  })

  it('costs 1 000 in and 100 out of gpt-4o-mini exactly 210 micro-dollars', () => {
    const usage = { ...NO_USAGE, input: 1000, output: 100 }
    expect(costPico(usage, priceOf('openai', 'gpt-4o-mini', AT_MS)!)).toBe(210_000_000)
  })

  it('charges what a search model takes for each call', () => {
    expect(priceOf('perplexity', 'sonar', AT_MS)!.perCall).toBe(12_000_000_000)
    expect(priceOf('openai', 'gpt-4o', AT_MS)!.perCall).toBe(0)
  })

  it('falls back to the kind of token where a counter has no price of its own', () => {
    const plain = priceOf('groq', 'llama-3.1-8b-instant', AT_MS)!.rates
    expect(plain).toMatchObject({ cacheRead: plain.input, cacheWrite5m: plain.input, cacheWrite1h: plain.input })
    expect(plain).toMatchObject({ audioInput: plain.input, imageInput: plain.input, audioOutput: plain.output })
    const writing = priceOf('openai', 'gpt-6-sol', AT_MS)!.rates
    expect(writing.cacheWrite5m).toBe(usd(2.5))
    expect(writing.cacheWrite1h).toBe(2 * writing.input)
    expect(priceOf('openai', 'gpt-audio', AT_MS)!.rates).toMatchObject({ audioInput: usd(32), audioOutput: usd(64) })
  })

  it('raises the whole call’s price above the threshold of a tier, and not at it', () => {
    const price = priceOf('openai', 'gpt-5.4', AT_MS)!
    expect(price.tiers.map((tier) => tier.aboveInput)).toEqual([271_999])
    expect(costPico({ ...NO_USAGE, input: 271_999, output: 10 }, price)).toBe(271_999 * usd(2.5) + 10 * usd(15))
    expect(costPico({ ...NO_USAGE, input: 272_000, output: 10 }, price)).toBe(272_000 * usd(5) + 10 * usd(22.5))
  })

  it('never falls when any counter grows', () => {
    const dice = new Dice(7)
    const counters = [
      'input',
      'cacheRead',
      'cacheWrite5m',
      'cacheWrite1h',
      'output',
      'audioInput',
      'audioOutput',
      'imageInput',
      'imageOutput',
    ] as const
    for (const [provider, name] of NAMES) {
      const price = priceOf(provider, name, AT_MS)
      if (price === null) continue
      const usage = { ...randomUsage(dice), cacheWrite1h: dice.int(0, 500) }
      const more = { ...usage, [dice.pick(counters)]: dice.int(1_000_001, 2_000_000) }
      expect(costPico(more, price)).toBeGreaterThanOrEqual(costPico(usage, price))
    }
  })

  it('follows the calendar: o3 before and after its price fell', () => {
    const before = priceOf('openai', 'o3', Date.parse('2025-06-09T23:59:59.999Z'))!
    const after = priceOf('openai', 'o3', Date.parse('2025-06-10T00:00:00Z'))!
    expect([before.rates.input, after.rates.input]).toEqual([usd(10), usd(2)])
    expect(before.id).not.toBe(after.id)
  })

  it('follows the hour of the day on a warm cache, forwards and backwards', () => {
    const at = (time: string) => priceOf('deepseek', 'deepseek-v4-pro', Date.parse(`2026-11-20T${time}Z`))!.rates.input
    const [low, high] = [usd(0.66), usd(1.32)]
    const cases = [
      ['00:59:59.999', low],
      ['01:00:00', high],
      ['03:59:59.999', high],
      ['04:00:00', low],
      ['05:00:00', low],
      ['06:00:00', high],
      ['10:00:00', low],
      ['23:00:00', low],
    ] as const
    for (const [time, rate] of [...cases, ...cases.toReversed()]) expect([time, at(time)]).toEqual([time, rate])
  })

  it('is null, not 0, for what it does not know', () => {
    expect(priceOf('openai', 'no-such-model', AT_MS)).toBeNull()
    expect(priceOf('siliconflow', 'no-such-model', AT_MS)).toBeNull()
    expect(priceOf('nobody', 'gpt-4o', AT_MS)).toBeNull()
    expect(priceOf('openai', 'x'.repeat(5000), AT_MS)).toBeNull()
    expect(priceOf('__proto__', 'constructor', AT_MS)).toBeNull()
    expect(priceOf('qwen', 'qwen99', AT_MS)).toBeNull()
  })

  it('is 0 for the sandbox and the operator’s own machine, whatever the model', () => {
    for (const [provider, model] of [
      ['sandbox', 'sandbox/chat'],
      ['sandbox', 'gpt-4o'],
      ['ollama', 'anything:7b'],
    ] as const) {
      const price = priceOf(provider, model, AT_MS)!
      expect(costPico({ ...NO_USAGE, input: 1e6, output: 1e6 }, price)).toBe(0)
    }
  })

  it('names one version for one content: shared by snapshots, the same in every instance', () => {
    const price = priceOf('openai', 'gpt-4o-mini', AT_MS)!
    expect(priceOf('openai', 'gpt-4o-mini-2024-07-18', AT_MS)).toBe(price)
    expect(createPrices().priceOf('openai', 'gpt-4o-mini', 0)!.id).toBe(price.id)
    expect(price.id).toMatch(/^[0-9a-f]{16}$/)
    const ids = new Map<string, Price>()
    for (const [provider, name] of NAMES) {
      const one = priceOf(provider, name, AT_MS)
      if (one === null) continue
      expect(ids.get(one.id) ?? one).toEqual(one)
      ids.set(one.id, one)
    }
    expect(Object.isFrozen(price)).toBe(true)
  })

  it('names its source, the release that is installed', () => {
    expect(manifest.dependencies['@pydantic/genai-prices']).toBe(TABLES_VERSION)
    expect(priceOf('openai', 'gpt-4o-mini', AT_MS)!.source).toBe(`genai-prices@${TABLES_VERSION}`)
    expect(priceOf('qwen', 'qwen-plus', AT_MS)!.source).toBe('watchllm')
  })

  it('answers a known name in less than a third of a microsecond', () => {
    const names = ['gpt-4o-mini', 'gpt-4o', 'gpt-4.1', 'gpt-5', 'o3']
    const run = () => {
      const started = performance.now()
      for (let i = 0; i < 100_000; i++) priceOf('openai', names[i % names.length]!, AT_MS)
      return (performance.now() - started) / 100
    }
    const best = Math.min(...Array.from({ length: 10 }, run))
    expect(best).toBeLessThan(0.3)
  })
})

describe('the operator’s overrides', () => {
  it('win over shipped prices and tables, exact names over prefixes, longer prefixes over shorter', () => {
    const overrides = overridesSchema.parse({
      'openai/*': { input: 1 },
      'openai/gpt-4o*': { input: 2 },
      'openai/gpt-4o-mini': { input: 3, output: 4, cache_read: 0.5, cache_write: 5, per_call: 0.001, audio_input: 6 },
      'sandbox/*': { input: 9 },
    })
    const own = createPrices({ overrides })
    const input = (model: string) => own.priceOf('openai', model, AT_MS)!.rates.input / 1e6
    expect([input('gpt-4'), input('gpt-4o'), input('GPT-4o-2024-05-13'), input('gpt-4o-mini')]).toEqual([1, 2, 2, 3])
    const price = own.priceOf('openai', 'gpt-4o-mini', AT_MS)!
    expect(price).toMatchObject({ source: 'override', model: 'gpt-4o-mini', perCall: 1_000_000_000 })
    expect(price.rates).toEqual({
      input: usd(3),
      output: usd(4),
      cacheRead: usd(0.5),
      cacheWrite5m: usd(5),
      cacheWrite1h: usd(6),
      audioInput: usd(6),
      audioOutput: usd(4),
      imageInput: usd(3),
      imageOutput: usd(4),
    })
    expect(own.priceOf('sandbox', 'sandbox/chat', AT_MS)!.rates.input).toBe(usd(9))
    expect(own.priceOf('groq', 'llama-3.1-8b-instant', AT_MS)!.source).toMatch(/^genai-prices/)
  })

  it('may have tiers, applied above their threshold', () => {
    const overrides = overridesSchema.parse({
      'ollama/big': { input: 1, output: 2, tiers: [{ above_input: 1000, input: 3, output: 4 }] },
    })
    const price = createPrices({ overrides }).priceOf('ollama', 'big', AT_MS)!
    expect(costPico({ ...NO_USAGE, input: 1000, output: 1 }, price)).toBe(1000 * usd(1) + usd(2))
    expect(costPico({ ...NO_USAGE, input: 1001, output: 1 }, price)).toBe(1001 * usd(3) + usd(4))
  })

  it.each([
    ['a name without provider', { 'gpt-4o': { input: 1 } }],
    ['an unknown provider', { 'nobody/gpt-4o': { input: 1 } }],
    ['no model', { 'openai/': { input: 1 } }],
    ['no input price', { 'openai/x': { output: 1 } }],
    ['a negative price', { 'openai/x': { input: -1 } }],
    ['a price that is text', { 'openai/x': { input: '1' } }],
    ['an unknown counter', { 'openai/x': { input: 1, ouptut: 1 } }],
    ['a price finer than a pico-dollar a token', { 'openai/x': { input: 0.0000001 } }],
    ['an absurd price', { 'openai/x': { input: 1e9 } }],
    [
      'tiers that do not ascend',
      {
        'openai/x': {
          input: 1,
          tiers: [
            { above_input: 5, input: 1 },
            { above_input: 5, input: 2 },
          ],
        },
      },
    ],
    ['a list', []],
  ])('are refused with %s', (_, value) => {
    expect(overridesSchema.safeParse(value).success).toBe(false)
  })

  it('pass the same check themselves when shipped', () => {
    const each = Object.entries(SHIPPED).flatMap(([name, shipped]) =>
      'until' in shipped
        ? [
            [name, shipped.price],
            [name, shipped.next],
          ]
        : [[name, shipped]],
    )
    for (const [name, price] of each) {
      expect(overridesSchema.parse({ [name as string]: price })).toEqual({ [name as string]: price })
    }
  })
})

function usd(perMillion: number): number {
  return Math.round(perMillion * 1e6)
}
