import { accountFor } from '../accounts.ts'
import { PROVIDER_IDS } from '../catalog/catalog.ts'
import type { Deps, Principal } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { json } from './reply.ts'

/** `GET /v1/providers/health`: how calls of this key would fare. The sandbox, which always answers, is not among them. */
export async function providersHealth(incoming: Incoming, deps: Deps): Promise<Reply> {
  const principal = await principalOf(incoming, deps)
  const states = [...PROVIDER_IDS]
    .filter((id) => deps.providerOf(id)?.inProcess === undefined)
    .map((id) => [id, { status: statusOf(principal, id, deps), consecutive_failures: 0, last_failure: null }])
  return json(deps, { providers: Object.fromEntries(states), timestamp: new Date(deps.clock.now()).toISOString() })
}

/** A pause holds up the platform's accounts only. */
function statusOf(principal: Principal, id: string, deps: Deps): 'healthy' | 'paused' {
  const isOwn = accountFor(principal, id, deps)?.own === true
  return !isOwn && deps.pauses?.isPaused(id) === true ? 'paused' : 'healthy'
}
