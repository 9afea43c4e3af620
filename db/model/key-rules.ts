import { KEY_DEFAULTS, type KeySettings, PROJECT_DEFAULTS, type ProjectSettings } from './settings.ts'

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
  }
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

function isNone({ models, endpoints, prefers, ...switches }: KeyRules): boolean {
  const { promptCache, bodyAdditions, joinRetries } = KEY_DEFAULTS
  const isDefault = switches.promptCache === promptCache && switches.bodyAdditions === bodyAdditions
  const isFree = models.length === 0 && endpoints === null && prefers === null
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
  // What has a slash could be another provider's name for another model: it is listed with its provider.
  return provider === 'sandbox' || !model.includes('/') ? list.has(model) : false
}
