import type { Deps } from './deps.ts'
import { consolePage } from './endpoints/console.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import { failed } from './endpoints/reply.ts'
import { GatewayError } from './errors.ts'
import { fetchFace } from './fetch.ts'
import type { Handle, Incoming, Reply } from './http.ts'
import { routes } from './routes.ts'

export interface App {
  /** What the runtimes call. Never rejects. */
  readonly handle: Handle
  /** The same as a fetch handler, for everybody else. */
  readonly fetch: (request: Request) => Promise<Response>
}

/** The gateway, made of what it is given: the only place where routes meet deps. */
export function createApp(deps: Deps): App {
  const find = compile()
  const handle = async (incoming: Incoming): Promise<Reply> => {
    try {
      const { endpoint, id } = find(incoming)
      return await endpoint(incoming, deps, id)
    } catch (thrown) {
      return failed(deps, thrown)
    }
  }
  return { handle, fetch: fetchFace(handle) }
}

interface Found {
  readonly endpoint: Endpoint
  readonly id: string
}

const ID = '{id}'

function compile(): (incoming: Incoming) => Found {
  const exact = new Map<string, Found>()
  const open: { readonly method: string; readonly prefix: string; readonly endpoint: Endpoint }[] = []
  for (const [method, path, endpoint] of routes) {
    if (path.endsWith(ID)) open.push({ method, prefix: path.slice(0, -ID.length), endpoint })
    else exact.set(`${method} ${path}`, { endpoint, id: '' })
  }
  return (incoming) => {
    const direct = exact.get(`${incoming.method} ${incoming.path}`)
    if (direct !== undefined) return direct
    const method = incoming.method === 'HEAD' ? 'GET' : incoming.method
    const path = tidy(incoming.path)
    const tidied = exact.get(`${method} ${path}`)
    if (tidied !== undefined) return tidied
    const under = open.find((route) => route.method === method && path.startsWith(route.prefix))
    if (under !== undefined) return { endpoint: under.endpoint, id: decode(path.slice(under.prefix.length)) }
    if (method === 'GET' && !path.startsWith('/v1/')) return { endpoint: consolePage, id: path }
    throw unrouted(incoming, exact)
  }
}

/** Duplicate and trailing slashes mean nothing. */
function tidy(path: string): string {
  const single = path.replace(/\/{2,}/g, '/')
  return single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function unrouted(incoming: Incoming, exact: ReadonlyMap<string, unknown>): GatewayError {
  const path = tidy(incoming.path).slice(0, 200)
  const other = ['POST', 'GET'].find((method) => exact.has(`${method} ${path}`))
  const hint = other === undefined ? '' : `: use ${other}`
  return new GatewayError('not_found', `No route ${incoming.method} ${path}${hint}`)
}
