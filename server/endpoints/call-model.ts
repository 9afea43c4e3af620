import { makeId } from '../../db/model/ids.ts'
import type { Memory, Received, Service } from '../call.ts'
import { GatewayError } from '../errors.ts'
import { answer } from '../pipeline.ts'
import type { SaidInPath } from '../wire/wire.ts'
import type { Endpoint } from './endpoint.ts'
import { logBodies } from './log-bodies.ts'

const ID_BYTES = 16

/**
 * An endpoint that sends a call down the line.
 * @param say what the path's `{id}` says of the request, for dialects that say it there; null: no such route
 * @param memory of the connection, where it carries many calls
 */
export function callModel(service: Service, say?: (id: string) => SaidInPath | null, memory?: Memory): Endpoint {
  return async (incoming, deps, { id, provider }) => {
    const said = say?.(id) ?? null
    if (say !== undefined && said === null) throw new GatewayError('not_found', `No method "${id.slice(0, 128)}"`)
    const receivedAtMs = deps.clock.now()
    const call: Received = {
      id: makeId('req', receivedAtMs, deps.random.bytes(ID_BYTES)),
      receivedAtMs,
      startedAt: deps.clock.monotonic(),
      incoming,
      service,
      pinned: provider,
      said,
      ...(memory === undefined ? {} : { memory }),
    }
    // The call grows on its way: what is known of it then says whether it is kept.
    return logBodies(call, await answer(call, deps), { incoming, deps })
  }
}
