import type { Deps } from './deps.ts'
import { consolePage } from './endpoints/console.ts'
import { failed } from './endpoints/reply.ts'
import { GatewayError } from './errors.ts'
import { fetchFace } from './fetch.ts'
import type { Handle, Incoming, Reply } from './http.ts'
import { createRouter, type Router, tidy } from './router.ts'
import { routes } from './routes.ts'

export interface App {
  /** What the runtimes call. Never rejects. */
  readonly handle: Handle
  /** The same as a fetch handler, for everybody else. */
  readonly fetch: (request: Request) => Promise<Response>
}

/** The gateway, made of what it is given: the only place where routes meet deps. */
export function createApp(deps: Deps): App {
  const router = createRouter(routes, (name) => deps.providerOf(name) !== null)
  const handle = async (incoming: Incoming): Promise<Reply> => {
    try {
      const found = router.find(incoming.method, incoming.path)
      if (found !== null) return await found.endpoint(incoming, deps, found)
      return await unrouted(incoming, deps, router)
    } catch (thrown) {
      return failed(deps, thrown)
    }
  }
  return { handle, fetch: fetchFace(handle) }
}

/** What no route answers is a file of the console, or nothing. */
async function unrouted(incoming: Incoming, deps: Deps, router: Router): Promise<Reply> {
  const { method } = incoming
  const path = tidy(incoming.path)
  if ((method === 'GET' || method === 'HEAD') && !path.startsWith('/v1/')) {
    return consolePage(incoming, deps, { id: path, provider: null })
  }
  const other = router.otherMethod(path)
  const hint = other === null || other === method ? '' : `: use ${other}`
  throw new GatewayError('not_found', `No route ${method} ${path.slice(0, 200)}${hint}`)
}
