import { resolveModel } from './catalog.ts'

/**
 * The name by which a list of allowed models knows a model: what a call resolves to is held against it, so that another
 * name of the model would never be met. `provider/*` stays as it is. @returns null when nothing is called so
 */
export function listedName(name: string): string | null {
  if (name.endsWith('/*')) return name
  const found = resolveModel(name)
  if (found === null) return null
  const { provider, model, pinned } = found
  if (provider === 'sandbox') return model
  return pinned || model.includes('/') ? `${provider}/${model}` : model
}
