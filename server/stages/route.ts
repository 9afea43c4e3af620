import { type Admitted, grow, type Routed, type Target } from '../call.ts'
import { autoModels, type Resolved, resolveModel, type Task, taskOf, wiresOf } from '../catalog/catalog.ts'
import { counter } from '../counter.ts'
import type { Account, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Provider } from '../providers/provider.ts'
import { pathOf, wiresSpoken } from '../providers/request.ts'
import { type Spoken, wireBetween } from '../wire/wires.ts'

const SANDBOX = 'sandbox'
/** Where an account is needed and there is no network. */
const IN_PROCESS: Account = { apiKey: null, origin: 'in-process:', basePath: '' }

interface Choice {
  readonly provider: string
  readonly model: string
  readonly rule: string
}

/** Model -> target. @throws GatewayError `invalid_model`, `no_provider_key`, `invalid_request` */
export function route(call: Admitted, deps: Deps): Routed {
  return grow(call, { target: targetOf(call, choose(call, deps), deps) })
}

function choose(call: Admitted, deps: Deps): Choice {
  const requested = call.ask.model
  const found = resolveModel(requested) ?? homeOf(call, requested)
  const forced = call.pinned ?? call.options.provider
  const why = call.pinned === null ? 'header' : 'path'
  if (call.principal.kind === 'test') {
    if (found === null) throw unknownModel(requested)
    return { provider: SANDBOX, model: requested, rule: 'test-key' }
  }
  if (forced !== null && forced !== found?.provider) return { provider: forced, model: requested, rule: why }
  const task = found === null ? taskOf(requested) : null
  if (task !== null) return pick(task, deps)
  if (found === null) throw unknownModel(requested)
  const rule = forced !== null ? why : found.pinned ? 'pinned' : 'model'
  return { provider: found.provider, model: found.model, rule }
}

/** The best model for a task among those that can be reached. */
function pick(task: Task, deps: Deps): Choice {
  const { provider, model } = autoModels(task, (id) => deps.credentials.of(id) !== null)[0]!
  return { provider, model, rule: `auto:${task}` }
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
  const account = provider.inProcess === undefined ? deps.credentials.of(provider.id) : IN_PROCESS
  const { model, rule } = choice
  const version = account?.version ?? null
  const spoken = speak(call, provider, { model, version })
  if (spoken === null && call.service.wire.id === 'anthropic-count-tokens') return countHere(call, choice)
  if (spoken === null) {
    const what = `${provider.name} has no ${call.service.name}`
    if (model === '') throw new GatewayError('invalid_request', what)
    throw new GatewayError('invalid_request', `${what} for ${model}`, { param: 'model' })
  }
  if (account === null) throw noAccount(provider)
  const path = pathOf(provider, spoken.wireId, { model, stream: call.ask.stream, version })
  if (path === null) throw unknownModel(model)
  return { provider, account, model, ...spoken, path: account.basePath + path, rule }
}

function noAccount({ id, name, keyless, keyVariable, baseUrlVariable }: Provider): GatewayError {
  const variable = keyless ? baseUrlVariable : keyVariable
  return new GatewayError('no_provider_key', `No key for ${name}: set ${variable} and restart`, {
    details: { provider: id },
  })
}

/** The model's provider can't count: we do, as well as we can. */
function countHere(call: Admitted, { model, rule }: Choice): Target {
  const { wire } = call.service
  return { provider: counter, account: IN_PROCESS, model, wire, wireId: wire.id, path: '', rule }
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
