import type { Plan } from '../../db/model/plans.ts'
import { listedName } from '../catalog/listed.ts'
import { createPrices, overridesSchema } from '../catalog/prices.ts'
import { type Config, ConfigError } from '../config.ts'
import type { Deps } from '../deps.ts'
import { PROVIDERS } from '../providers/index.ts'

/** The shipped prices with those of the operator's file. @throws ConfigError that names what is wrong in it */
export function pricesOf(config: Pick<Config, 'prices'>): Deps['prices'] {
  if (config.prices === null) return createPrices()
  const parsed = overridesSchema.safeParse(config.prices)
  if (parsed.success) return createPrices({ overrides: parsed.data })
  const issue = parsed.error.issues[0]!
  const at = issue.path.length === 0 ? 'the file' : `"${issue.path.join('.')}"`
  throw new ConfigError('WATCHLLM_PRICES', `must hold price overrides: ${at}: ${issue.message}`)
}

/** The plans of preset and file, with models by the names that calls have. @throws ConfigError that names an unknown one */
export function plansOf(config: Pick<Config, 'plans'>): readonly Plan[] {
  return config.plans.map((plan) => {
    if (plan.allowedModels === null) return plan
    return { ...plan, allowedModels: plan.allowedModels.map((name) => modelOf(plan.id, name)) }
  })
}

function modelOf(plan: string, name: string): string {
  const found = listedName(name)
  const slash = name.indexOf('/')
  if (found !== null && (!found.endsWith('/*') || PROVIDERS.has(name.slice(0, slash)))) return found
  throw new ConfigError(
    'WATCHLLM_PLANS',
    `must name models that there are: the plan ${plan} has "${name.slice(0, 100)}"`,
  )
}
