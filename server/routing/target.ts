import { accountFor, lockedKeys, poolFor } from '../accounts.ts'
import { accountsInOrder, affinityOf, drawerOf } from '../affinity.ts'
import type { Admitted, Target } from '../call.ts'
import { wiresOf } from '../catalog/catalog.ts'
import { counter } from '../counter.ts'
import type { Account, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Provider } from '../providers/provider.ts'
import { pathOf, wiresSpoken } from '../providers/request.ts'
import { objectIdsIn } from '../wire/objects.ts'
import { type Spoken, wireBetween } from '../wire/wires.ts'
import type { Choice } from './choices.ts'

const PAUSED_RETRY_S = 60
/** Of one provider, that a call is tried with. */
const MOST_ACCOUNTS = 3
/** Where an account is needed and there is no network. */
const IN_PROCESS: Account = { id: 'in-process', own: false, apiKey: null, origin: 'in-process:', basePath: '' }

/**
 * Where a choice can be asked: at one of its provider's accounts after the other, never none.
 * @throws GatewayError `no_provider_key`, `provider_paused`, `invalid_model`, `invalid_request`
 */
export function targetsOf(call: Admitted, choice: Choice, deps: Deps): readonly Target[] {
  const provider = deps.providerOf(choice.provider)
  if (provider === null) {
    throw new GatewayError('invalid_request', `Unknown provider "${choice.provider.slice(0, 64)}"`)
  }
  const accounts = keeperOf(call, accountsOf(call, provider.id, deps))
  const account = accounts[0] ?? null
  const { model, rule } = choice
  const version = account?.version ?? null
  const spoken = speak(call, provider, { model, version })
  if (spoken === null && call.service.wire.id === 'anthropic-count-tokens') return [countHere(call, choice)]
  if (spoken === null) {
    const what = `${provider.name} has no ${call.service.name}`
    if (model === '') throw new GatewayError('invalid_request', what)
    throw new GatewayError('invalid_request', `${what} for ${model}`, { param: 'model' })
  }
  if (account === null) throw noAccount(provider, lockedKeys(call.principal, provider.id, deps))
  if (!isOpen(account, provider.id, deps)) throw paused(provider)
  const path = pathOf(provider, spoken.wireId, { model, stream: call.ask.stream, version })
  if (path === null) throw unknownModel(model)
  const first = { provider, account, model, ...spoken, path: account.basePath + path, rule }
  if (accounts.length === 1) return [first]
  // All of one provider, and so open alike.
  return accounts.slice(0, MOST_ACCOUNTS).map((each) => {
    const version = each.version ?? null
    const path = pathOf(provider, spoken.wireId, { model, stream: call.ask.stream, version })
    return path === null || each === account ? first : { ...first, account: each, path: each.basePath + path }
  })
}

/** All accounts that may be asked, in the order in which they are. */
function accountsOf(call: Admitted, id: string, deps: Deps): readonly Account[] {
  if (deps.providerOf(id)?.inProcess !== undefined) return [IN_PROCESS]
  const pool = poolFor(call.principal, id, deps)
  if (pool.length < 2) return pool.map(({ account }) => account)
  return accountsInOrder(pool, { draw: drawerOf(deps.random), affinity: () => affinityOf(call) }).map(
    ({ account }) => account,
  )
}

/** The model's provider can't count: we do, as well as we can. */
export function countHere(call: Admitted, { model, rule }: Choice): Target {
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

export function canAnswer(call: Admitted, { provider: id, model }: Choice, deps: Deps): boolean {
  const provider = deps.providerOf(id)
  const account = accountOf(call, id, deps)
  return (
    provider !== null &&
    isOpen(account, id, deps) &&
    speak(call, provider, { model, version: account?.version ?? null }) !== null
  )
}

/** There is an account, and calls with it aren't held up. A project's own are nobody else's to hold up. */
export function isOpen(account: Account | null, id: string, { pauses }: Deps): boolean {
  return account !== null && (account.own || pauses?.isPaused(id) !== true)
}

export function accountOf({ principal }: Admitted, id: string, deps: Deps): Account | null {
  if (deps.providerOf(id)?.inProcess !== undefined) return IN_PROCESS
  return accountFor(principal, id, deps)
}

/** Files and batches are where they were made: of several accounts at a provider, one keeps them. */
function keeperOf({ ask, service }: Admitted, accounts: readonly Account[]): readonly Account[] {
  const first = accounts[0]
  if (first === undefined || (accounts.length === 1 && first.home === undefined)) return accounts
  const { id } = service.wire
  const isKept = id === 'openai-files' || id === 'openai-batches' || objectIdsIn(ask.body).length > 0
  return isKept ? [first.home ?? first] : accounts
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

export function unknownModel(requested: string): GatewayError {
  return new GatewayError(
    'invalid_model',
    `Unknown model "${requested.slice(0, 128)}": GET /v1/models lists those known; "provider/model" reaches any other`,
    { param: 'model' },
  )
}
