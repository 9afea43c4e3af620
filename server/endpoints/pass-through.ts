import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { passing } from '../wire/pass/wire.ts'
import type { Pass, PassId } from '../wire/wire.ts'
import { callModel } from './call-model.ts'
import type { Endpoint, Place } from './endpoint.ts'

export interface Through {
  /** As in the log, such as `images.generations`. */
  readonly name: string
  readonly wire: PassId
  /** Default: POST. */
  readonly method?: Pass['method']
  /** The provider that answers when neither path, header nor model name one. Default: OpenAI, whose wires these are. */
  readonly home?: string
  /** What a request that names no model gets; null: it must; empty: there are no models here. */
  readonly model: string | null
  /** What follows the wire's path at the provider, made of the path's `{id}`. Default: nothing. */
  readonly tail?: (id: string) => string
  /** Its answers may be bytes of any kind and length, which go out as they come. */
  readonly givesBytes?: true
}

export const HOME = 'openai'

/** An endpoint whose bytes go to a provider and back as they are: admitted, metered and settled as any other call. */
export function passThrough(through: Through): Endpoint {
  return (incoming, deps, place) => passOn(through, incoming, { deps, place })
}

export function passOn(
  through: Through,
  incoming: Incoming,
  { deps, place }: { readonly deps: Deps; readonly place: Place },
): Promise<Reply> {
  const { name, wire, method = 'POST', home = HOME, model, tail, givesBytes = false } = through
  const pass = {
    method,
    home,
    givesBytes,
    tail: tail?.(place.id) ?? '',
    // Anew, so that nothing but well-formed pairs goes along.
    query: method === 'GET' ? new URLSearchParams(incoming.query).toString() : '',
    contentType: method === 'POST' ? (incoming.header('content-type') ?? 'application/json') : null,
  }
  return callModel({ name, wire: passing(wire, pass, model) })(incoming, deps, place)
}
