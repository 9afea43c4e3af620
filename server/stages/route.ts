import { type KeyRules, mayUse, type Preference } from '../../db/model/key-rules.ts'
import { accountFor, lockedKeys } from '../accounts.ts'
import { type Admitted, grow, type Routed, type Target } from '../call.ts'
import {
  type AutoPick,
  autoModels,
  modelOf,
  type Resolved,
  resolveModel,
  type Task,
  taskOf,
  wiresOf,
} from '../catalog/catalog.ts'
import { counter } from '../counter.ts'
import type { Account, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Provider } from '../providers/provider.ts'
import { pathOf, wiresSpoken } from '../providers/request.ts'
import { objectIdsIn } from '../wire/objects.ts'
import { type Spoken, wireBetween } from '../wire/wires.ts'

const SANDBOX = 'sandbox'
const PAUSED_RETRY_S = 60
/** Where an account is needed and there is no network. */
const IN_PROCESS: Account = { id: 'in-process', own: false, apiKey: null, origin: 'in-process:', basePath: '' }

interface Choice {
  readonly provider: string
  readonly model: string
  readonly rule: string
}

/** Model -> target. @throws GatewayError `invalid_model`, `model_not_allowed`, `no_provider_key`, `invalid_request` */
export function route(call: Admitted, deps: Deps): Routed {
  // Nobody is asked: the model may be any, or none.
  if (call.service.wire.id === 'openai-input-tokens') {
    const target = countHere(call, { provider: counter.id, model: call.ask.model, rule: 'counter' })
    return grow(call, { target, targets: [target] })
  }
  const target = targetOf(call, choose(call, deps), deps)
  return grow(call, { target, targets: [target] })
}

function choose(call: Admitted, deps: Deps): Choice {
  const requested = call.ask.model
  const found = resolveModel(requested) ?? homeOf(call, requested)
  const forced = call.pinned ?? call.options.provider
  const why = call.pinned === null ? 'header' : 'path'
  const rules = call.principal.rules ?? null
  if (call.principal.kind === 'test') {
    if (found === null) throw unknownModel(requested)
    if (rules !== null) allow(call, rules, { ...found, rule: '' })
    return { provider: SANDBOX, model: requested, rule: 'test-key' }
  }
  if (forced !== null && forced !== found?.provider) {
    return allow(call, rules, { provider: forced, model: requested, rule: why })
  }
  const task = found === null ? taskOf(requested) : null
  if (task !== null) return pick(call, task, deps)
  const prefers = forced === null ? (rules?.prefers ?? null) : null
  const preferred = prefers === null ? null : preferredOf(call, prefers, { found, deps })
  if (preferred !== null) return allow(call, rules, preferred)
  if (found === null) throw unknownModel(requested)
  const rule = forced !== null ? why : found.pinned ? 'pinned' : 'model'
  return allow(call, rules, { provider: found.provider, model: found.model, rule })
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
  { found, deps }: { readonly found: Resolved | null; readonly deps: Deps },
): Choice | null {
  const { provider, only } = prefers
  const requested = call.ask.model
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

function canAnswer(call: Admitted, { provider: id, model }: Choice, deps: Deps): boolean {
  const provider = deps.providerOf(id)
  const account = accountOf(call, id, deps)
  return (
    provider !== null &&
    isOpen(account, id, deps) &&
    speak(call, provider, { model, version: account?.version ?? null }) !== null
  )
}

/** There is an account, and calls with it aren't held up. A project's own are nobody else's to hold up. */
function isOpen(account: Account | null, id: string, { pauses }: Deps): boolean {
  return account !== null && (account.own || pauses?.isPaused(id) !== true)
}

function accountOf({ principal }: Admitted, id: string, deps: Deps): Account | null {
  if (deps.providerOf(id)?.inProcess !== undefined) return IN_PROCESS
  return accountFor(principal, id, deps)
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

function isAllowed(
  { ask, service }: Admitted,
  rules: KeyRules,
  { provider, model }: Pick<Choice, 'provider' | 'model'>,
): boolean {
  const { models } = rules
  if (models.length === 0) return true
  // Batches, and OpenRouter's list of others to fall back on, name models where nobody looks: all must be allowed.
  const isAny = service.name === 'batches.create' || ask.members.has('models')
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

function targetOf(call: Admitted, choice: Choice, deps: Deps): Target {
  const provider = deps.providerOf(choice.provider)
  if (provider === null) {
    throw new GatewayError('invalid_request', `Unknown provider "${choice.provider.slice(0, 64)}"`)
  }
  const account = keeperOf(call, accountOf(call, provider.id, deps))
  const { model, rule } = choice
  const version = account?.version ?? null
  const spoken = speak(call, provider, { model, version })
  if (spoken === null && call.service.wire.id === 'anthropic-count-tokens') return countHere(call, choice)
  if (spoken === null) {
    const what = `${provider.name} has no ${call.service.name}`
    if (model === '') throw new GatewayError('invalid_request', what)
    throw new GatewayError('invalid_request', `${what} for ${model}`, { param: 'model' })
  }
  if (account === null) throw noAccount(provider, lockedKeys(call.principal, provider.id, deps))
  if (!isOpen(account, provider.id, deps)) throw paused(provider)
  const path = pathOf(provider, spoken.wireId, { model, stream: call.ask.stream, version })
  if (path === null) throw unknownModel(model)
  return { provider, account, model, ...spoken, path: account.basePath + path, rule }
}

/** Files and batches are where they were made: of several accounts at a provider, one keeps them. */
function keeperOf({ ask, service }: Admitted, account: Account | null): Account | null {
  if (account?.home === undefined) return account
  const { id } = service.wire
  const isKept = id === 'openai-files' || id === 'openai-batches' || objectIdsIn(ask.body).length > 0
  return isKept ? account.home : account
}

/** Nobody knows for how long: it goes on when somebody says so. */
function paused({ id, name }: Provider): GatewayError {
  return new GatewayError(
    'provider_paused',
    `Calls to ${name} are paused until whoever runs this gateway resumes them; those with a key of your project go on`,
    { details: { provider: id }, retryAfter: PAUSED_RETRY_S },
  )
}

function noAccount(provider: Provider, locked: 'own' | 'platform' | null): GatewayError {
  const { id, name, keyless, keyVariable, baseUrlVariable } = provider
  const variable = keyless ? baseUrlVariable : keyVariable
  const why = {
    own: `Your project's key for ${name} can not be opened: save it again, or have the secret it was sealed with added`,
    platform: `The key for ${name} can not be opened: whoever runs this gateway must add the secret it was sealed with`,
    none: `No key for ${name}: add one to your project, or set ${variable} and restart`,
  }[locked ?? 'none']
  return new GatewayError('no_provider_key', why, { details: { provider: id } })
}

/** The model's provider can't count: we do, as well as we can. */
function countHere(call: Admitted, { model, rule }: Choice): Target {
  const { wire } = call.service
  return {
    provider: counter,
    account: IN_PROCESS,
    model,
    wire,
    wireId: wire.id,
    path: counter.wires[wire.id] as string,
    rule,
  }
}

function speak(
  call: Admitted,
  provider: Provider,
  { model, version }: { model: string; version: string | null },
): Spoken | null {
  const spoken = wiresSpoken(provider, version)
  const only = wiresOf(provider.id, model)
  const offered = only === null ? spoken : spoken.filter((id) => only.includes(id))
  const createdAtS = Math.floor(call.receivedAtMs / 1000)
  const strays = provider.followsOpenai !== true
  return wireBetween(call.service.wire, { wires: offered, strays }, { callId: call.id, createdAtS, model })
}

function unknownModel(requested: string): GatewayError {
  return new GatewayError(
    'invalid_model',
    `Unknown model "${requested.slice(0, 128)}": GET /v1/models lists those known; "provider/model" reaches any other`,
    { param: 'model' },
  )
}
