import { describe, expect, it } from 'vitest'
import { listedModel, listModels, type Model } from '../../server/catalog/catalog.ts'
import { equivalentsOf, FAMILIES, SNAPSHOTS } from '../../server/catalog/equivalents.ts'
import { createPrices } from '../../server/catalog/prices.ts'

const parted = (pin: string): [string, string] => [pin.slice(0, pin.indexOf('/')), pin.slice(pin.indexOf('/') + 1)]
const modelAt = (pin: string): Model | null => listedModel(...parted(pin))
const families = Object.entries(FAMILIES)
const members = families.flatMap(([, pins]) => pins)

/** What a model is, whoever serves it; tools and schemas depend on the host. */
const NATURE = ['chat', 'embeddings', 'transcription', 'vision', 'audio', 'reasoning', 'search'] as const

/** The maker's name of a model in one form: without vendor, region, date and who serves it. */
function bareName(id: string): string {
  return id
    .toLowerCase()
    .replace(/^(global|us)\./, '')
    .replace(/^.*\//, '')
    .replace(/^(anthropic|openai)\./, '')
    .replace(/-(\d+:\d+|versatile|instruct)$/g, '')
    .replace(/-\d{8}-v1:0$/, '')
    .replace(/[.:]/g, '-')
}

describe.each(families)('the family %s', (_name, pins) => {
  it('has several members, each in the catalogue and at a provider of its own', () => {
    expect(pins.length).toBeGreaterThan(1)
    for (const pin of pins) expect([pin, modelAt(pin)?.provider]).toEqual([pin, parted(pin)[0]])
    expect(new Set(pins.map((pin) => parted(pin)[0])).size).toBe(pins.length)
  })

  it('is one model by its name, its nature, the length it takes and when it came out', () => {
    const models = pins.map((pin) => modelAt(pin)!)
    const [first] = models
    expect(new Set(models.map(({ id }) => bareName(id))).size).toBe(1)
    for (const model of models) {
      const nature = (of: Model) => NATURE.filter((one) => of.capabilities.includes(one))
      expect(nature(model)).toEqual(nature(first!))
      const lengths = [model.contextLength!, first!.contextLength!]
      // Hosts offer down to a quarter of what the maker does, or count in thousands.
      expect(Math.max(...lengths) / Math.min(...lengths)).toBeLessThanOrEqual(4)
      // Hosts take a model up within weeks.
      expect(Math.abs(model.created - first!.created)).toBeLessThan(60 * 86_400)
    }
  })

  it('leads from each of its members to all others', () => {
    for (const pin of pins) {
      const found = equivalentsOf(...parted(pin))
      expect(found.map(({ provider, model }) => `${provider}/${model}`)).toEqual(pins.filter((other) => other !== pin))
      expect(equivalentsOf(...parted(pin))).toBe(found)
    }
  })
})

describe('equivalents', () => {
  it('belong to one family only', () => {
    expect(new Set(members).size).toBe(members.length)
  })

  it('leave out none that the catalogue has under the same name', () => {
    const byName = new Map<string, string[]>()
    for (const { provider, id } of listModels()) {
      byName.set(bareName(id), [...(byName.get(bareName(id)) ?? []), `${provider}/${id}`])
    }
    const several = [...byName.values()].filter((pins) => new Set(pins.map((pin) => parted(pin)[0])).size > 1)
    const missing = several.filter((pins) => pins.some((pin) => !members.includes(pin)))
    expect(missing).toEqual([['openai/gpt-4o', 'azure-openai/gpt-4o']])
  })

  it('of dated names are those of the model that they are the only snapshot of', () => {
    const { priceOf } = createPrices()
    for (const [dated, pin] of Object.entries(SNAPSHOTS)) {
      expect(members).toContain(pin)
      expect(dated.startsWith(`${pin}-20`)).toBe(true)
      expect(equivalentsOf(...parted(dated))).toEqual(equivalentsOf(...parted(pin)))
      expect(equivalentsOf(...parted(dated)).length).toBeGreaterThan(0)
      expect(priceOf(...parted(dated), Date.UTC(2026, 10, 21))?.rates).toEqual(
        priceOf(...parted(pin), Date.UTC(2026, 10, 21))?.rates,
      )
    }
  })

  it.each([
    ['openai', 'gpt-4o'],
    ['openai', 'gpt-5.4-pro'],
    ['bedrock', 'eu.anthropic.claude-haiku-4-5-20251001-v1:0'],
    ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo'],
    ['ollama', 'qwen3'],
    ['sandbox', 'sandbox/chat'],
    ['nobody', 'gpt-oss-120b'],
    ['openai', '__proto__'],
    ['__proto__', 'constructor'],
  ])('of %s %s there are none', (provider, model) => {
    expect(equivalentsOf(provider, model)).toEqual([])
    expect(equivalentsOf(provider, model)).toBe(equivalentsOf('', ''))
  })
})
