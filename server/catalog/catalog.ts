import { formatUsd, type Price } from '../../db/model/money.ts'
import { Bounded } from './bounded.ts'
import { CATEGORIES, type Category, type Model } from './model.ts'
import { MODELS, PROVIDER_IDS } from './models/index.ts'
import { providerByName } from './tables.ts'

export { CATEGORIES, type Capability, type Category, type Model } from './model.ts'

export interface Resolved {
  readonly provider: string
  /** As the provider's API takes it. */
  readonly model: string
  /** The caller named the provider. */
  readonly pinned: boolean
}

/**
 * First segments that are always a provider, whether or not there is a row for it yet: `google/x` never falls through
 * to a host that has a model of that name, so that a name keeps its meaning when a provider is added.
 */
const NAMESPACES: ReadonlySet<string> = new Set([
  ...PROVIDER_IDS,
  'anthropic',
  'google',
  'cohere',
  'azure-openai',
  'bedrock',
])
const SANDBOX = 'sandbox'
const REMEMBERED = 2048
const LONGEST_NAME = 256

/** The names without a slash-namespace: the first model in the catalogue's order has the bare name. */
const byBareId = new Map<string, Model>()
const byPin = new Map<string, Model>()
for (const model of MODELS) {
  byPin.set(pinOf(model), model)
  if (!isPinned(model.id) && !byBareId.has(model.id)) byBareId.set(model.id, model)
}
const resolved = new Bounded<Resolved>(REMEMBERED)

function isPinned(id: string): boolean {
  const slash = id.indexOf('/')
  return slash > 0 && NAMESPACES.has(id.slice(0, slash))
}

function pinOf(model: Model): string {
  return model.provider === SANDBOX ? model.id : `${model.provider}/${model.id}`
}

/** The id that lists show and requests may use: the provider's own, or `provider/id` where that would mean another. */
export function publicId(model: Model): string {
  return byBareId.get(model.id) === model ? model.id : pinOf(model)
}

/** The catalogue's entry for a public id or `provider/id`; null for what is not listed. */
export function modelOf(id: string): Model | null {
  return byPin.get(id) ?? byBareId.get(id) ?? null
}

export function isCategory(text: string): text is Category {
  return (CATEGORIES as readonly string[]).includes(text)
}

/** All models, or those of a category, in the catalogue's order. */
export function listModels(category?: Category): readonly Model[] {
  return category === undefined ? MODELS : MODELS.filter((model) => model.category === category)
}

/**
 * Where a requested name leads. `provider/model` pins any model of a provider there is a row for, listed or not; bare
 * names are looked up in the catalogue, then recognised by their form (dated snapshots, fine-tunes); null otherwise.
 */
export function resolveModel(requested: string): Resolved | null {
  const kept = resolved.get(requested)
  if (kept !== undefined) return kept
  if (requested === '' || requested.length > LONGEST_NAME) return null
  const found = find(requested)
  if (found !== null) resolved.set(requested, found)
  return found
}

function find(requested: string): Resolved | null {
  if (isPinned(requested)) {
    const slash = requested.indexOf('/')
    const provider = requested.slice(0, slash)
    const rest = requested.slice(slash + 1)
    if (!PROVIDER_IDS.has(provider) || rest === '') return null
    return { provider, model: provider === SANDBOX ? requested : rest, pinned: true }
  }
  const listed = byBareId.get(requested)
  if (listed !== undefined) return { provider: listed.provider, model: listed.id, pinned: false }
  const provider = providerByName(requested)
  return provider === null ? null : { provider, model: requested, pinned: false }
}

/** An entry of `GET /v1/models` (CONTRACT 3). Prices are numbers in USD a thousand tokens. */
export interface ModelEntry {
  readonly id: string
  readonly object: 'model'
  readonly created: number
  readonly owned_by: string
  readonly name: string
  readonly provider: string
  readonly category: Category
  readonly capabilities: readonly string[]
  readonly context_length: number | null
  readonly max_output_tokens: number | null
  readonly pricing: {
    readonly prompt: number
    readonly completion: number
    readonly cached_prompt?: number
    readonly unit: 'usd_per_1k_tokens'
  } | null
  readonly deprecated_at?: number
}

/** @param price what holds now, null when unknown: then `pricing` is null, never 0. */
export function modelEntry(model: Model, price: Price | null): ModelEntry {
  return {
    id: publicId(model),
    object: 'model',
    created: model.created,
    owned_by: model.provider,
    name: model.name,
    provider: model.provider,
    category: model.category,
    capabilities: model.capabilities,
    context_length: model.contextLength,
    max_output_tokens: model.maxOutputTokens,
    pricing: price === null ? null : pricingOf(price),
    ...(model.deprecatedAt === undefined ? {} : { deprecated_at: model.deprecatedAt }),
  }
}

function pricingOf({ rates }: Price): NonNullable<ModelEntry['pricing']> {
  const per1k = (picoPerToken: number) => Number(formatUsd(picoPerToken * 1000))
  return {
    prompt: per1k(rates.input),
    completion: per1k(rates.output),
    ...(rates.cacheRead === rates.input ? {} : { cached_prompt: per1k(rates.cacheRead) }),
    unit: 'usd_per_1k_tokens',
  }
}
