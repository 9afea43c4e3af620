import type { Routed } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { objectIdsIn } from '../wire/objects.ts'

/**
 * Many projects share an account at a provider: a call may name what its own project has made there, and nothing else.
 * Calls that name nothing are not kept waiting.
 * @throws GatewayError `not_found` for another's, `service_unavailable` when that can't be told now
 */
export function own(call: Routed, deps: Deps): Routed | Promise<Routed> {
  if (call.target.provider.inProcess !== undefined) return call
  const ids = objectIdsIn(call.ask.body)
  return ids.length === 0 ? call : check(call, ids, deps)
}

async function check(call: Routed, ids: readonly string[], deps: Deps): Promise<Routed> {
  const owner = { projectId: call.principal.projectId, provider: call.target.provider.id }
  const owned = await deps.providerObjects.owned(owner, ids).catch(away)
  const foreign = ids.find((id) => !owned.has(id))
  if (foreign === undefined) return call
  throw new GatewayError(
    'not_found',
    `No object "${foreign.slice(0, 64)}" of this project at ${call.target.provider.name}`,
  )
}

function away(cause: unknown): never {
  throw new GatewayError(
    'service_unavailable',
    'Whose objects these are can not be told right now; try again shortly',
    {
      retryAfter: 2,
      cause,
    },
  )
}
