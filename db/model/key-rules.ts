import {
  type BodyRules,
  KEY_DEFAULTS,
  type KeySettings,
  PROJECT_DEFAULTS,
  type ProjectSettings,
  ROUTING_DEFAULTS,
  type RoutingPolicy,
} from './settings.ts'

/** What settings and plan let the calls of a key do, as one, made when the key is read; limits are limits.ts's. */
export interface KeyRules {
  /** A model must be in each: the key's list, the project's and the plan's. Empty: every model may be used. */
  readonly models: readonly ReadonlySet<string>[]
  /** Null: all. */
  readonly endpoints: ReadonlySet<string> | null
  readonly prefers: Preference | null
  readonly promptCache: KeySettings['promptCache']
  readonly bodyAdditions: boolean
  readonly joinRetries: boolean
  /** Null: as ROUTING_DEFAULTS say. */
  readonly routing: RoutingRules | null
  /** Null: nothing that is said in its calls is kept. */
  readonly bodies: BodyRules | null
}

/** Where calls go when there is a choice. */
export interface RoutingRules {
  readonly policy: RoutingPolicy
  /** Providers, tried in this order after the preferred one. */
  readonly chain: readonly string[]
  /** Looked up once: what a name stands for is never another alias. */
  readonly aliases: ReadonlyMap<string, string>
  /** By the model that they stand in for; see `fallbacksOf`. */
  readonly fallbacks: ReadonlyMap<string, readonly string[]>
  readonly equivalents: boolean
  readonly hedgeAfterMs: number | null
}

export interface Preference {
  readonly provider: string
  /** This provider or an error. */
  readonly only: boolean
  /** Whose wish it is. */
  readonly of: 'key' | 'project'
}

export interface RuledKey {
  readonly settings: Partial<KeySettings>
  readonly projectSettings: Partial<ProjectSettings>
  /** The project's, null: none. */
  readonly defaultProvider: string | null
}

/** @returns null for a key whose calls are under no rule: it costs them nothing */
export function rulesOf({ settings, projectSettings, defaultProvider }: RuledKey): KeyRules | null {
  const rules = rulesFrom(
    { ...KEY_DEFAULTS, ...settings },
    { ...PROJECT_DEFAULTS, ...projectSettings },
    defaultProvider,
  )
  return isNone(rules) ? null : rules
}

function rulesFrom(key: KeySettings, project: ProjectSettings, defaultProvider: string | null): KeyRules {
  return {
    models: [key.allowedModels, project.allowedModels].flatMap((list) => (list === null ? [] : [new Set(list)])),
    endpoints: key.allowedEndpoints === null ? null : new Set(key.allowedEndpoints),
    prefers: preferenceOf(key.routing, defaultProvider),
    promptCache: key.promptCache,
    bodyAdditions: key.bodyAdditions,
    joinRetries: key.joinRetries,
    routing: routingOf(key, project),
    bodies: project.bodyLogging,
  }
}

/** Null when all is as it is without settings. */
function routingOf({ hedgeAfterMs }: KeySettings, project: ProjectSettings): RoutingRules | null {
  const { policy, chain, aliases, fallbacks, equivalents, ...rest } = { ...ROUTING_DEFAULTS, ...project.routing }
  const hedge = hedgeAfterMs === 0 ? null : (hedgeAfterMs ?? rest.hedgeAfterMs)
  const isPlain = policy === ROUTING_DEFAULTS.policy && equivalents && chain.length === 0 && hedge === null
  const named = { aliases: new Map(Object.entries(aliases)), fallbacks: new Map(Object.entries(fallbacks)) }
  if (isPlain && named.aliases.size === 0 && named.fallbacks.size === 0) return null
  return { policy, chain, ...named, equivalents, hedgeAfterMs: hedge }
}

const NO_FALLBACKS: readonly string[] = []

/**
 * The models that are tried after one, as the project's settings name them.
 * @param requested the model's name as the caller said it, which goes first
 * @param found what it leads to; null: nothing is known by that name
 */
export function fallbacksOf(
  routing: RoutingRules | null | undefined,
  requested: string,
  found: { readonly provider: string; readonly model: string } | null,
): readonly string[] {
  if (routing === null || routing === undefined || routing.fallbacks.size === 0) return NO_FALLBACKS
  const { fallbacks } = routing
  const named = fallbacks.get(requested)
  if (named !== undefined || found === null) return named ?? NO_FALLBACKS
  const { provider, model } = found
  const bare = hasBareName(provider, model) ? fallbacks.get(model) : undefined
  return fallbacks.get(`${provider}/${model}`) ?? bare ?? NO_FALLBACKS
}

const NO_RULES = rulesFrom(KEY_DEFAULTS, PROJECT_DEFAULTS, null)

/** The rules of a key, and that its models must be among its plan's. @param planModels null: all */
export function underPlan(rules: KeyRules | null, planModels: readonly string[] | null): KeyRules | null {
  if (planModels === null) return rules
  const known = rules ?? NO_RULES
  return { ...known, models: [...known.models, new Set(planModels)] }
}

/** A key that prefers nothing goes by its project's provider. */
function preferenceOf(routing: KeySettings['routing'], defaultProvider: string | null): Preference | null {
  if (routing.mode !== 'auto') return { provider: routing.provider, only: routing.mode === 'failover', of: 'key' }
  return defaultProvider === null ? null : { provider: defaultProvider, only: false, of: 'project' }
}

function isNone({ models, endpoints, prefers, routing, bodies, ...switches }: KeyRules): boolean {
  const { promptCache, bodyAdditions, joinRetries } = KEY_DEFAULTS
  const isDefault = switches.promptCache === promptCache && switches.bodyAdditions === bodyAdditions
  const isFree = models.length === 0 && endpoints === null && prefers === null && routing === null && bodies === null
  return isFree && isDefault && switches.joinRetries === joinRetries
}

/** Whether a key may use a model, by its own list and its project's. @param model the provider's own id */
export function mayUse(rules: KeyRules | null | undefined, provider: string, model: string): boolean {
  return rules?.models.every((list) => listHas(list, provider, model)) ?? true
}

/**
 * Whether a list of models has this one: as `provider/model`, by all of its provider's, or by its id alone, which then
 * is the model's whoever serves it. @param model the provider's own id
 */
export function listHas(list: ReadonlySet<string>, provider: string, model: string): boolean {
  if (list.has(`${provider}/*`) || list.has(`${provider}/${model}`)) return true
  return hasBareName(provider, model) && list.has(model)
}

/** What has a slash could be another provider's name for another model: it is named with its provider. */
function hasBareName(provider: string, model: string): boolean {
  return provider === 'sandbox' || !model.includes('/')
}
