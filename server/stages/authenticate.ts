import { keyKindOf } from '../../db/model/ids.ts'
import { grow, type Known, type Received } from '../call.ts'
import type { Deps, Overload, Principal, Ticket } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http.ts'

/**
 * Key -> principal, and a place among the calls in flight.
 * @throws GatewayError `invalid_api_key`, `insufficient_permissions`, `service_unavailable` when there is no place
 */
export async function authenticate(call: Received, deps: Deps): Promise<Known> {
  const principal = await principalOf(call.incoming, deps)
  const { overload } = deps
  // Before the call is put down to its key: who is kept out costs as little as can be, and leaves no record.
  const known =
    overload === undefined ? grow(call, { principal }) : grow(call, { place: placeOf(principal, overload), principal })
  // Only now: a refusal is put down to the key.
  requireEndpoint(known.principal, known.service.name)
  return known
}

/** By the seconds to wait. Made once: in a flood, a stack for each refusal would cost more than the refusal. */
const FULL = Array.from(
  { length: 11 },
  (_, retryAfter) =>
    new GatewayError('service_unavailable', 'Too many calls are under way; try again shortly', { retryAfter }),
)

function placeOf({ organizationId }: Principal, overload: Overload): Ticket {
  const place = overload.enter(organizationId)
  if (place !== null) return place
  throw FULL[overload.retryAfterS()]!
}

/**
 * Who holds the key of a request; answers without the database for keys known before.
 * @param endpoint as in the log, where the request is for one that a key can be kept from
 * @throws GatewayError `invalid_api_key`, `insufficient_permissions`
 */
export async function principalOf(incoming: Incoming, deps: Deps, endpoint?: string): Promise<Principal> {
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
  if (endpoint !== undefined) requireEndpoint(principal, endpoint)
  return principal
}

function requireEndpoint({ rules }: Principal, endpoint: string): void {
  if (rules?.endpoints?.has(endpoint) !== false) return
  throw new GatewayError('insufficient_permissions', `This key may not use ${endpoint}`, { details: { endpoint } })
}

/** Where the clients of other providers put their key: Anthropic's, Google's in two ways, Azure's. */
function elsewhere(incoming: Incoming): string | null {
  const found = incoming.header('x-api-key') ?? incoming.header('x-goog-api-key') ?? incoming.header('api-key')
  if (found !== null || !incoming.query.includes('key=')) return found
  return new URLSearchParams(incoming.query).get('key')
}

/** As OpenAI's clients send it, or as others do. */
function secretOf(incoming: Incoming): string | null {
  const authorization = incoming.header('authorization')
  if (authorization !== null && authorization.slice(0, 7).toLowerCase() === 'bearer ') {
    return authorization.slice(7).trim()
  }
  return elsewhere(incoming)
}

function unreachable(cause: unknown): never {
  throw new GatewayError('service_unavailable', 'This key can not be checked right now; try again shortly', {
    retryAfter: 2,
    cause,
  })
}
