import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'

/** Answers one route. @param id what the path's `{id}` took, decoded. @throws GatewayError, which the app gives a face */
export type Endpoint = (incoming: Incoming, deps: Deps, id: string) => Promise<Reply>
