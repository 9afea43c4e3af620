import type { Deps } from './deps.ts'
import { consolePage } from './endpoints/console.ts'
import { failed } from './endpoints/reply.ts'
import { responses } from './endpoints/responses.ts'
import { responsesSocket } from './endpoints/responses-socket.ts'
import { GatewayError } from './errors.ts'
import { fetchFace } from './fetch.ts'
import type { Connect, Handle, Incoming, Reply } from './http.ts'
import { createRouter, type Router, tidy } from './router.ts'
import { routes } from './routes.ts'

export interface App {
  /** What the runtimes call. Never rejects. */
  readonly handle: Handle
  /** The same as a fetch handler, for everybody else. */
  readonly fetch: (request: Request) => Promise<Response>
  /** What the runtimes ask when a connection is to carry messages. Never rejects. */
  readonly connect: Connect
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
  const connect: Connect = async (incoming) => {
    try {
      const found = router.find('POST', incoming.path)
      if (found?.endpoint === responses) return await responsesSocket(incoming, deps, found)
      throw new GatewayError('not_found', `No WebSocket at ${tidy(incoming.path).slice(0, 200)}: use /v1/responses`)
    } catch (thrown) {
      return failed(deps, thrown)
    }
  }
  return { handle, fetch: fetchFace(handle), connect }
}

/** What no route answers is a file of the console, or nothing. */
async function unrouted(incoming: Incoming, deps: Deps, router: Router): Promise<Reply> {
  const { method } = incoming
  const path = tidy(incoming.path)
  if ((method === 'GET' || method === 'HEAD') && !path.startsWith('/v1/')) {
    return consolePage(incoming, deps, { id: path, ids: [path], provider: null })
  }
  const other = router.otherMethod(path)
  const hint = other === null || other === method ? '' : `: use ${other}`
  throw new GatewayError('not_found', `No route ${method} ${path.slice(0, 200)}${hint}`)
}
