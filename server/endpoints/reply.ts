import { makeId } from '../../db/model/ids.ts'
import type { Deps } from '../deps.ts'
import { asGatewayError, GatewayError, openaiFace, retryHeaders } from '../errors.ts'
import { NoRoom, type Reply } from '../http.ts'
import { toByteText } from '../wire/bytes.ts'

/** A JSON answer of an endpoint that calls no model. */
export function json(deps: Deps, body: unknown, status = 200): Reply {
  return {
    status,
    headers: ['content-type', 'application/json', ...idHeaders(deps)],
    body: toByteText(JSON.stringify(body)),
  }
}

/** An error of an endpoint that calls no model; a bug of ours is logged and says nothing of itself. */
export function failed(deps: Deps, thrown: unknown): Reply {
  const error = thrown instanceof NoRoom ? noRoom() : asGatewayError(thrown)
  if (error.status >= 500) deps.log.warn('A request failed', { code: error.code, cause: error.cause })
  const reply = json(deps, openaiFace(error), error.status)
  reply.headers.push(...retryHeaders(error))
  return reply
}

/** Endpoints that read small bodies themselves needn't know of it. */
function noRoom(): GatewayError {
  const message = 'Too many large requests are under way; try again shortly'
  return new GatewayError('service_unavailable', message, { retryAfter: 2 })
}

function idHeaders(deps: Deps): string[] {
  const id = makeId('req', deps.clock.now(), deps.random.bytes(16))
  return ['x-request-id', id, 'request-id', id]
}
