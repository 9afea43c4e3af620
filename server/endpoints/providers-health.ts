import { poolFor } from '../accounts.ts'
import { PROVIDER_IDS } from '../catalog/catalog.ts'
import type { Deps, HealthState, Principal, Weighted } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { apiAt } from './api.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

const UNTRIED: HealthState = { status: 'healthy', consecutiveFailures: 0, lastFailureMs: null }
/** The procedure that it is, by REST. */
const RESET = '/api/platform/provider-health/reset'

/** `GET /v1/providers/health`: how calls of this key would fare. The sandbox, which always answers, is not among them. */
export async function providersHealth(incoming: Incoming, deps: Deps): Promise<Reply> {
  const principal = await principalOf(incoming, deps)
  const ids = [...PROVIDER_IDS].filter((id) => deps.providerOf(id)?.inProcess === undefined)
  const states = await Promise.all(ids.map(async (id) => [id, await stateOf(principal, id, deps)] as const))
  return json(deps, { providers: Object.fromEntries(states), timestamp: new Date(deps.clock.now()).toISOString() })
}

/** By the accounts that this key's calls go with: another's trouble is none of its own. */
async function stateOf(principal: Principal, id: string, deps: Deps) {
  const pool = poolFor(principal, id, deps)
  const accounts = pool.map(({ account }) => account.id)
  const { status, consecutiveFailures, lastFailureMs } = (await deps.breaker?.health(id, accounts)) ?? UNTRIED
  return {
    status: isPaused(pool, id, deps) ? 'paused' : status,
    consecutive_failures: consecutiveFailures,
    last_failure: lastFailureMs === null ? null : new Date(lastFailureMs).toISOString(),
  }
}

/** A pause holds up the platform's accounts only. */
function isPaused(pool: readonly Weighted[], id: string, { pauses }: Deps): boolean {
  return pool[0]?.account.own !== true && pauses?.isPaused(id) === true
}

/**
 * `POST /v1/providers/health/reset` `{provider?}`: calls go there again, on every instance. Of who runs this installation,
 * signed in or by a personal access token: the control plane's own procedure at another path.
 */
export async function resetProvidersHealth(incoming: Incoming, deps: Deps, { provider }: Place): Promise<Reply> {
  if (provider !== null)
    throw new GatewayError('not_found', 'Name the provider in the body of POST /v1/providers/health/reset')
  return apiAt(RESET, incoming, deps)
}
