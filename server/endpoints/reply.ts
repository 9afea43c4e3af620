import { makeId } from '../../db/model/ids.ts'
import type { Deps } from '../deps.ts'
import { asGatewayError, type GatewayError, openaiFace, retryHeaders } from '../errors.ts'
import type { Reply } from '../http.ts'
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
  const error: GatewayError = asGatewayError(thrown)
  if (error.status >= 500) deps.log.warn('A request failed', { code: error.code, cause: error.cause })
  const reply = json(deps, openaiFace(error), error.status)
  reply.headers.push(...retryHeaders(error))
  return reply
}

function idHeaders(deps: Deps): string[] {
  const id = makeId('req', deps.clock.now(), deps.random.bytes(16))
  return ['x-request-id', id, 'request-id', id]
}
