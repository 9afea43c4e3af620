import { type KeyRules, mayUse, type Preference } from '../../db/model/key-rules.ts'
import type { Admitted } from '../call.ts'
import {
  type AutoPick,
  autoModels,
  modelOf,
  type Resolved,
  resolveModel,
  type Task,
  taskOf,
} from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { accountOf, canAnswer, isOpen, unknownModel } from './target.ts'

const SANDBOX = 'sandbox'

/** Which model of which provider, and the rule that says so. */
export interface Choice {
  readonly provider: string
  readonly model: string
  readonly rule: string
}

/** The first choice, and what may be asked in its place. */
export interface Chosen {
  readonly first: Choice
  /**
   * `none`: this provider or an error. `named`: what the request or the project names to fall back on. `any`: the same
   * model elsewhere, too.
   */
  readonly others: 'none' | 'named' | 'any'
  /** Of the auto router. */
  readonly task: Task | null
  readonly found: Resolved | null
}

/** @throws GatewayError `invalid_model`, `model_not_allowed`, `invalid_request` */
export function choose(call: Admitted, deps: Deps): Chosen {
  const said = call.ask.model
  const requested = call.principal.rules?.routing?.aliases.get(said) ?? said
  const found = resolveModel(requested) ?? homeOf(call, requested)
  const forced = call.pinned ?? call.options.provider
  const why = call.pinned === null ? 'header' : 'path'
  const rules = call.principal.rules ?? null
  if (call.principal.kind === 'test') {
    if (found === null) throw unknownModel(requested)
    if (rules !== null) allow(call, rules, { ...found, rule: '' })
    return { first: { provider: SANDBOX, model: requested, rule: 'test-key' }, others: 'none', task: null, found }
  }
  if (forced !== null && forced !== found?.provider) {
    const first = allow(call, rules, { provider: forced, model: requested, rule: why })
    return { first, others: 'none', task: null, found }
  }
  const task = found === null ? taskOf(requested) : null
  const prefers = forced === null ? (rules?.prefers ?? null) : null
  const isOnly = forced !== null || prefers?.only === true
  if (task !== null) return { first: pick(call, task, deps), others: isOnly ? 'none' : 'any', task, found }
  const preferred = prefers === null ? null : preferredOf(call, prefers, { requested, found, deps })
  if (preferred !== null) {
    return { first: allow(call, rules, preferred), others: isOnly ? 'none' : 'any', task, found }
  }
  if (found === null) throw unknownModel(requested)
  const rule = forced !== null ? why : found.pinned ? 'pinned' : said === requested ? 'model' : 'alias'
  const first = allow(call, rules, { provider: found.provider, model: found.model, rule })
  return { first, others: isOnly ? 'none' : found.pinned ? 'named' : 'any', task, found }
}

/** The best model for a task among those that can be reached, and that the key may use. */
function pick(call: Admitted, task: Task, deps: Deps): Choice {
  const { rules = null } = call.principal
  const all = autoModels(task, (id) => isOpen(accountOf(call, id, deps), id, deps))
  const rule = `auto:${task}`
  const chosen = rules === null ? all[0]! : pickUnder(call, rules, { all, rule })
  return { provider: chosen.provider, model: chosen.model, rule }
}

function pickUnder(
  call: Admitted,
  rules: KeyRules,
  { all, rule }: { readonly all: readonly AutoPick[]; readonly rule: string },
): AutoPick {
  const { prefers } = rules
  const may = all.filter((one) => isAllowed(call, rules, one))
  const best = prefers === null ? undefined : may.find((one) => one.provider === prefers.provider)
  if (prefers?.only === true) {
    if (best === undefined) throw notAllowed(`${prefers.provider} has no model for "${rule}" that this key may use`)
    return best
  }
  const chosen = best?.configured === true ? best : may[0]
  if (chosen === undefined) throw notAllowed(`No model that this key may use fits "${rule}"`)
  return chosen
}

/**
 * Where the key's wish leads; null: nowhere, the model says it. What names no model, such as a file, has its home.
 * @throws GatewayError `model_not_allowed` where the request names another provider than the only one
 */
function preferredOf(
  call: Admitted,
  prefers: Preference,
  { requested, found, deps }: { readonly requested: string; readonly found: Resolved | null; readonly deps: Deps },
): Choice | null {
  const { provider, only } = prefers
  if (!only && found?.provider === provider) return null
  const listed = found?.provider === provider ? found.model : (modelOf(`${provider}/${requested}`)?.id ?? null)
  if (found?.pinned === true && found.provider !== provider) {
    if (!only) return null
    throw notAllowed(`This key goes to ${provider} only, and "${requested.slice(0, 128)}" names ${found.provider}`)
  }
  if (only) return { provider, model: listed ?? requested, rule: 'failover' }
  if (requested === '' || (listed === null && isSomeonesOwn(requested))) return null
  const choice = { provider, model: listed ?? requested, rule: prefers.of === 'key' ? 'preferred' : 'project' }
  return canAnswer(call, choice, deps) ? choice : null
}

/** The name says whose the model is. */
function isSomeonesOwn(requested: string): boolean {
  return resolveModel(requested) !== null
}

/** The choice, where the key and its project may use that model. @throws GatewayError `model_not_allowed` */
function allow(call: Admitted, rules: KeyRules | null, choice: Choice): Choice {
  if (rules === null || isAllowed(call, rules, choice)) return choice
  const { provider, model } = choice
  throw notAllowed(
    model === ''
      ? `This key may not use ${call.service.name}: it takes all models of ${provider}`
      : `This key may not use the model "${model.slice(0, 128)}" of ${provider.slice(0, 64)}`,
  )
}

export function isAllowed(
  { ask, service }: Admitted,
  rules: KeyRules,
  { provider, model }: Pick<Choice, 'provider' | 'model'>,
): boolean {
  const { models } = rules
  if (models.length === 0) return true
  // Batches, and OpenRouter's own list of others to fall back on, name models where nobody looks: all must be allowed.
  const isAny = service.name === 'batches.create' || (provider === 'openrouter' && ask.members.has('models'))
  if (isAny) return models.every((list) => list.has(`${provider}/*`))
  return model === '' || mayUse(rules, provider, model)
}

function notAllowed(message: string): GatewayError {
  return new GatewayError('model_not_allowed', message, { param: 'model' })
}

/** Models of what is passed through aren't in the catalogue, or not named at all. */
function homeOf({ service }: Admitted, model: string): Resolved | null {
  const { pass } = service.wire
  return pass === undefined ? null : { provider: pass.home, model, pinned: false }
}
