import { type Admitted, grow, type Routed, type Target } from '../call.ts'
import { resolveModel } from '../catalog/catalog.ts'
import type { Account, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Provider, WirePath } from '../providers/provider.ts'
import type { WireId } from '../wire/wire.ts'
import { type Spoken, wireBetween } from '../wire/wires.ts'

const SANDBOX = 'sandbox'
const SANDBOX_ACCOUNT: Account = { apiKey: null, origin: 'sandbox:', basePath: '' }

interface Choice {
  readonly provider: string
  readonly model: string
  readonly rule: string
}

/** Model -> target. @throws GatewayError `invalid_model`, `no_provider_key`, `invalid_request` */
export function route(call: Admitted, deps: Deps): Routed {
  return grow(call, { target: targetOf(call, choose(call), deps) })
}

function choose(call: Admitted): Choice {
  const requested = call.ask.model
  const found = resolveModel(requested)
  const forced = call.pinned ?? call.options.provider
  const why = call.pinned === null ? 'header' : 'path'
  if (call.principal.kind === 'test') {
    if (found === null) throw unknownModel(requested)
    return { provider: SANDBOX, model: requested, rule: 'test-key' }
  }
  if (forced !== null && forced !== found?.provider) return { provider: forced, model: requested, rule: why }
  if (found === null) throw unknownModel(requested)
  const rule = forced !== null ? why : found.pinned ? 'pinned' : 'model'
  return { provider: found.provider, model: found.model, rule }
}

function targetOf(call: Admitted, choice: Choice, deps: Deps): Target {
  const provider = deps.providerOf(choice.provider)
  if (provider === null) {
    throw new GatewayError('invalid_request', `Unknown provider "${choice.provider.slice(0, 64)}"`)
  }
  const spoken = speak(call, provider, choice.model)
  if (spoken === null) {
    throw new GatewayError('invalid_request', `${provider.name} has no ${call.service.name} for ${choice.model}`, {
      param: 'model',
    })
  }
  const account = provider.inProcess === undefined ? deps.credentials.of(provider.id) : SANDBOX_ACCOUNT
  if (account === null) {
    throw new GatewayError(
      'no_provider_key',
      `No key for ${provider.name}: set ${provider.keyless ? provider.baseUrlVariable : provider.keyVariable} and restart`,
      { details: { provider: provider.id } },
    )
  }
  const path = account.basePath + pathOf(provider.wires[spoken.id]!, choice.model, call.ask.stream)
  return { provider, account, model: choice.model, wire: spoken.wire, path, rule: choice.rule }
}

function speak(call: Admitted, provider: Provider, model: string): Spoken | null {
  const spoken = Object.keys(provider.wires) as WireId[]
  const offered = spoken
  const createdAtS = Math.floor(call.receivedAtMs / 1000)
  return wireBetween(call.service.wire, offered, { callId: call.id, createdAtS, model })
}

function pathOf(path: WirePath, model: string, stream: boolean): string {
  const template = typeof path === 'string' ? path : stream ? path.stream : path.whole
  return template.includes('{model}') ? template.replaceAll('{model}', encodeURIComponent(model)) : template
}

function unknownModel(requested: string): GatewayError {
  return new GatewayError(
    'invalid_model',
    `Unknown model "${requested.slice(0, 128)}": GET /v1/models lists those known; "provider/model" reaches any other`,
    { param: 'model' },
  )
}
