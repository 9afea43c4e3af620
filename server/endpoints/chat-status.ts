import { accountFor } from '../accounts.ts'
import { PROVIDER_IDS } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { json } from './reply.ts'

/** `GET /v1/chat/status`: which providers calls can be sent to. The sandbox, which always answers, is not among them. */
export async function chatStatus(incoming: Incoming, deps: Deps): Promise<Reply> {
  const principal = await principalOf(incoming, deps)
  const states = [...PROVIDER_IDS]
    .filter((id) => deps.providerOf(id)?.inProcess === undefined)
    .map((id) => [id, { status: accountFor(principal, id, deps) === null ? 'unconfigured' : 'configured' }])
  return json(deps, { providers: Object.fromEntries(states) })
}
