import { KEY_DEFAULTS, type KeySettings, PROJECT_DEFAULTS, type ProjectSettings } from './settings.ts'

/** What settings let the calls of a key do: those of the key and of its project as one, made when the key is read. */
export interface KeyRules {
  /** A model must be in each: the key's list and the project's. Empty: every model may be used. */
  readonly models: readonly ReadonlySet<string>[]
  /** Null: all. */
  readonly endpoints: ReadonlySet<string> | null
  readonly prefers: Preference | null
  /** The narrowest first; the organization's own comes after them. */
  readonly minutes: readonly OwnMinute[]
  readonly promptCache: KeySettings['promptCache']
  readonly bodyAdditions: boolean
}

export interface Preference {
  readonly provider: string
  /** This provider or an error. */
  readonly only: boolean
  /** Whose wish it is. */
  readonly of: 'key' | 'project'
}

/** Requests a minute that a key or a project has of its own, beside its organization's. */
export interface OwnMinute {
  readonly of: 'key' | 'project'
  /** Name of the counter. */
  readonly counter: string
  readonly limit: number
}

export interface RuledKey {
  readonly keyId: string
  readonly projectId: string
  readonly settings: Partial<KeySettings>
  readonly projectSettings: Partial<ProjectSettings>
  /** The project's, null: none. */
  readonly defaultProvider: string | null
}

/** @returns null for a key whose calls are under no rule: it costs them nothing */
export function rulesOf({ keyId, projectId, settings, projectSettings, defaultProvider }: RuledKey): KeyRules | null {
  const key = { ...KEY_DEFAULTS, ...settings }
  const project = { ...PROJECT_DEFAULTS, ...projectSettings }
  const rules: KeyRules = {
    models: [key.allowedModels, project.allowedModels].flatMap((list) => (list === null ? [] : [new Set(list)])),
    endpoints: key.allowedEndpoints === null ? null : new Set(key.allowedEndpoints),
    prefers: preferenceOf(key.routing, defaultProvider),
    minutes: [
      ...minuteOf('key', keyId, key.limits.requestsPerMinute),
      ...minuteOf('project', projectId, project.limits.requestsPerMinute),
    ],
    promptCache: key.promptCache,
    bodyAdditions: key.bodyAdditions,
  }
  return isNone(rules) ? null : rules
}

/** A key that prefers nothing goes by its project's provider. */
function preferenceOf(routing: KeySettings['routing'], defaultProvider: string | null): Preference | null {
  if (routing.mode !== 'auto') return { provider: routing.provider, only: routing.mode === 'failover', of: 'key' }
  return defaultProvider === null ? null : { provider: defaultProvider, only: false, of: 'project' }
}

function minuteOf(of: OwnMinute['of'], id: string, limit: number | null): OwnMinute[] {
  return limit === null ? [] : [{ of, counter: `rpm:${id}`, limit }]
}

function isNone({ models, endpoints, prefers, minutes, promptCache, bodyAdditions }: KeyRules): boolean {
  const isDefault = promptCache === KEY_DEFAULTS.promptCache && bodyAdditions === KEY_DEFAULTS.bodyAdditions
  return models.length === 0 && endpoints === null && prefers === null && minutes.length === 0 && isDefault
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
