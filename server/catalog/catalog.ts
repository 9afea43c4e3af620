import { formatUsd, type Price } from '../../db/model/money.ts'
import { Bounded } from './bounded.ts'
import { CATEGORIES, type Category, type Model } from './model.ts'
import { MODELS } from './models/index.ts'
import { bareModel, isPinned, pinnedModel, publicId } from './names.ts'
import { providerByName } from './tables.ts'

export { type AutoPick, autoModels, isTask, TASKS, type Task, taskOf } from './auto.ts'
export { factsOf, wiresOf } from './facts.ts'
export { CATEGORIES, type Capability, type Category, type Model } from './model.ts'
export { PROVIDER_IDS } from './models/index.ts'
export { listedModel, publicId } from './names.ts'

export interface Resolved {
  readonly provider: string
  /** As the provider's API takes it. */
  readonly model: string
  /** The caller named the provider. */
  readonly pinned: boolean
}

const SANDBOX = 'sandbox'
const REMEMBERED = 2048
const LONGEST_NAME = 256

const resolved = new Bounded<Resolved>(REMEMBERED)

/** The catalogue's entry for a public id, `provider/id` or another name of it; null for what is not listed. */
export function modelOf(id: string): Model | null {
  return pinnedModel(id) ?? bareModel(id)
}

export function isCategory(text: string): text is Category {
  return (CATEGORIES as readonly string[]).includes(text)
}

/** All models, or those of a category or a provider, in the catalogue's order. */
export function listModels(category?: Category, provider?: string): readonly Model[] {
  if (category === undefined && provider === undefined) return MODELS
  return MODELS.filter(
    (model) => (category ?? model.category) === model.category && (provider ?? model.provider) === model.provider,
  )
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
    if (rest === '') return null
    const model = provider === SANDBOX ? requested : (pinnedModel(requested)?.id ?? rest)
    return { provider, model, pinned: true }
  }
  const listed = bareModel(requested)
  if (listed !== null) return { provider: listed.provider, model: listed.id, pinned: false }
  // A namespace that is no provider's says nothing of who has the model.
  const provider = requested.includes('/') ? null : providerByName(requested)
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
