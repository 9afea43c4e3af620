import { keyKindOf } from '../../db/model/ids.ts'
import { grow, type Known, type Received } from '../call.ts'
import type { Deps, Principal } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http.ts'

/** Key -> principal. @throws GatewayError `invalid_api_key` */
export async function authenticate(call: Received, deps: Deps): Promise<Known> {
  return grow(call, { principal: await principalOf(call.incoming, deps) })
}

/** Who holds the key of a request; answers without the database for keys known before. */
export async function principalOf(incoming: Incoming, deps: Deps): Promise<Principal> {
  const secret = secretOf(incoming)
  if (secret === null) {
    throw new GatewayError(
      'invalid_api_key',
      'Send your API key as "Authorization: Bearer lgw_…" or "x-api-key: lgw_…"',
    )
  }
  if (keyKindOf(secret) === null) {
    throw new GatewayError('invalid_api_key', 'This is not a WatchLLM key: keys start with lgw_proj_ or lgw_test_')
  }
  const found = deps.directory.lookup(secret)
  const principal = found instanceof Promise ? await found.catch(unreachable) : found
  if (principal === null) throw new GatewayError('invalid_api_key', 'This API key is unknown, expired or revoked')
  return principal
}

function secretOf(incoming: Incoming): string | null {
  const authorization = incoming.header('authorization')
  if (authorization !== null && authorization.slice(0, 7).toLowerCase() === 'bearer ') {
    return authorization.slice(7).trim()
  }
  return incoming.header('x-api-key')
}

function unreachable(cause: unknown): never {
  throw new GatewayError('service_unavailable', 'This key can not be checked right now; try again shortly', {
    retryAfter: 2,
    cause,
  })
}
