import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { json } from './reply.ts'

/** A dependency that doesn't answer in this time is down. */
const CHECK_MS = 2000

/**
 * `GET /health`: 503 when a part that calls need is down. Without the shared counters limits are tighter, and calls go on:
 * `degraded`, and 200 all the same.
 */
export async function health(_incoming: Incoming, deps: Deps): Promise<Reply> {
  const [database, kv] = await Promise.all([
    state(deps, () => deps.health.database()),
    state(deps, () => deps.kv.ping()),
  ])
  const journal = deps.health.journal()
  const serves = database === 'ok' && journal === 'ok'
  const body = {
    status: serves && kv === 'ok' ? 'ok' : 'degraded',
    service: 'watchllm',
    version: deps.settings.version,
    timestamp: new Date(deps.clock.now()).toISOString(),
    dependencies: { database, kv, journal },
  }
  return json(deps, body, serves ? 200 : 503)
}

/** `GET /livez`: the process answers. */
export async function livez(_incoming: Incoming, deps: Deps): Promise<Reply> {
  return json(deps, { status: 'ok' })
}

/** `GET /readyz`: calls can be sent here. A database that is away doesn't stop known keys. */
export async function readyz(_incoming: Incoming, deps: Deps): Promise<Reply> {
  const ready = deps.health.journal() === 'ok'
  return json(deps, { status: ready ? 'ok' : 'degraded' }, ready ? 200 : 503)
}

async function state(deps: Deps, check: () => Promise<void>): Promise<'ok' | 'down'> {
  return new Promise((resolve) => {
    const late = deps.clock.timer(CHECK_MS, () => resolve('down'))
    check()
      .then(
        () => resolve('ok'),
        () => resolve('down'),
      )
      .finally(() => late.cancel())
  })
}
