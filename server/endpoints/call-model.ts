import { makeId } from '../../db/model/ids.ts'
import type { Service } from '../call.ts'
import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { answer } from '../pipeline.ts'

const ID_BYTES = 16

/** An endpoint that sends a call down the line. */
export function callModel(service: Service): (incoming: Incoming, deps: Deps) => Promise<Reply> {
  return (incoming, deps) => {
    const receivedAtMs = deps.clock.now()
    return answer(
      {
        id: makeId('req', receivedAtMs, deps.random.bytes(ID_BYTES)),
        receivedAtMs,
        startedAt: deps.clock.monotonic(),
        incoming,
        service,
      },
      deps,
    )
  }
}
