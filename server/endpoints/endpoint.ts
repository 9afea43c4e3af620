import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'

/** Answers one route. @throws GatewayError, which the app gives a face */
export type Endpoint = (incoming: Incoming, deps: Deps, place: Place) => Promise<Reply>

/** What a request's path says. */
export interface Place {
  /** What the route's first `{…}` took, decoded; empty where it has none. */
  readonly id: string
  /** What all of them took, in order. */
  readonly ids: readonly string[]
  /** The provider that it pins the call to; null: none. */
  readonly provider: string | null
}
