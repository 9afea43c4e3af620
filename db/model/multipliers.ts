import { MULTIPLIER_ONE } from './charge.ts'

/** What models cost against their list price. */
export interface ModelMultiplier {
  /** A provider's id, or `*` for all of them. */
  readonly provider: string
  /** A model's name at the provider, the beginning of names followed by `*`, or `*` alone. */
  readonly model: string
  /** 10_000 is 1.0. */
  readonly multiplier: number
}

/** Whether it is one of the forms that a rule's model has. */
export function isModelPattern(model: string): boolean {
  return /^[^*]+\*?$|^\*$/.test(model)
}

/**
 * The multiplier of a model: of the rules that fit, one that names the provider goes before one for all, then the one
 * with the whole name, then the one with the longest beginning of it. 10_000 when none fits.
 */
export function multiplierOf(rules: readonly ModelMultiplier[], provider: string, model: string): number {
  let best: ModelMultiplier | null = null
  for (const rule of rules) {
    if (fits(rule, provider, model) && (best === null || rank(rule) > rank(best))) best = rule
  }
  return best?.multiplier ?? MULTIPLIER_ONE
}

function fits(rule: ModelMultiplier, provider: string, model: string): boolean {
  if (rule.provider !== '*' && rule.provider !== provider) return false
  return rule.model.endsWith('*') ? model.startsWith(rule.model.slice(0, -1)) : model === rule.model
}

/** Names are shorter than the weight of what goes before their length. */
function rank({ provider, model }: ModelMultiplier): number {
  return (provider === '*' ? 0 : 1_000_000) + (model.endsWith('*') ? 0 : 100_000) + model.length
}
