import type { Model } from './model.ts'
import { MODELS, PROVIDER_IDS } from './models/index.ts'

const SANDBOX = 'sandbox'

const byPin = new Map<string, Model>()
/** The names without a slash-namespace: the first model in the catalogue's order has the bare name. */
const byBareId = new Map<string, Model>()

/**
 * Other names of listed models, as `provider/name`: makers write a version with a dot where their API wants a dash, and
 * some hosts took over the dot.
 */
const aliases = new Map<string, Model>()

for (const model of MODELS) {
  byPin.set(pinOf(model), model)
  if (!isPinned(model.id) && !byBareId.has(model.id)) byBareId.set(model.id, model)
  const dotted = model.id.replace(/-(\d)-(\d)(?=-|$)/, '-$1.$2')
  if (model.provider === 'anthropic' && dotted !== model.id) aliases.set(`${model.provider}/${dotted}`, model)
}

/** The provider is named in the id itself: `openai/gpt-4o`. */
export function isPinned(id: string): boolean {
  const slash = id.indexOf('/')
  return slash > 0 && PROVIDER_IDS.has(id.slice(0, slash))
}

function pinOf(model: Model): string {
  return model.provider === SANDBOX ? model.id : `${model.provider}/${model.id}`
}

/** The id that lists show and requests may use: the provider's own, or `provider/id` where that would mean another. */
export function publicId(model: Model): string {
  return byBareId.get(model.id) === model ? model.id : pinOf(model)
}

/** By `provider/id`, or by another name of it; null for what is not listed. */
export function pinnedModel(pin: string): Model | null {
  return byPin.get(pin) ?? aliases.get(pin) ?? null
}

/** By an id without a provider, or another name of one. */
export function bareModel(id: string): Model | null {
  return byBareId.get(id) ?? aliases.get(`anthropic/${id}`) ?? null
}

/** A provider's model by the provider's own id. */
export function listedModel(provider: string, id: string): Model | null {
  return byPin.get(provider === SANDBOX ? id : `${provider}/${id}`) ?? null
}
