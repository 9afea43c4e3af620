import type { Deps } from '../deps.ts'
import type { Holding } from './broadcast.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Run } from './run.ts'

/** Calls of this process that others may join. */
export interface Running {
  /** With an idempotency key: by that and by what they ask. */
  readonly runs: Map<string, Run>
  /** Of SDKs that count their retries, until they are answered: by the length of their bodies. */
  readonly open: Map<number, Run | Set<Run>>
  readonly holding: Holding
  readonly heartbeat: Heartbeat
}

const known = new WeakMap<Deps, Running>()

export function runningOf(deps: Deps): Running {
  let running = known.get(deps)
  if (running === undefined) {
    running = { runs: new Map(), open: new Map(), holding: { bytes: 0 }, heartbeat: new Heartbeat(deps) }
    known.set(deps, running)
  }
  return running
}
