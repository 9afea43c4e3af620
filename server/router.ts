import type { Endpoint, Place } from './endpoints/endpoint.ts'

/** Where a request goes, and what its path says on the way. */
export interface Found extends Place {
  readonly endpoint: Endpoint
}

export type RouteTable = readonly (readonly [method: string, path: string, endpoint: Endpoint])[]

export interface Router {
  /** Null when no route answers. */
  find(method: string, path: string): Found | null
  /** Another method that this path knows, for the hint in an error. */
  otherMethod(path: string): string | null
}

interface OpenRoute {
  readonly method: string
  /** What stands before the first id. */
  readonly prefix: string
  /** One group an id. */
  readonly pattern: RegExp
  /** Characters that aren't an id's. */
  readonly says: number
  readonly endpoint: Endpoint
}

/** In a table: a route that answers all methods, and refuses those it doesn't know itself. */
const ANY_METHOD = '*'
const ID = /\{\w+\}/

/**
 * Finds routes in every spelling that clients produce: doubled and trailing slashes; SDKs that add a version of their
 * own to the base URL (`/v1/v1/messages`, `/v1/groq/openai/v1/chat/completions`, `/v1/google/v1beta/models/…`).
 * @param isProvider tells a provider's name in `/v1/{provider}/…` from an endpoint's
 */
export function createRouter(table: RouteTable, isProvider: (name: string) => boolean): Router {
  const exact = new Map<string, Found>()
  const open: OpenRoute[] = []
  for (const [method, path, endpoint] of table) {
    if (ID.test(path)) open.push({ method, endpoint, ...patternOf(path) })
    else exact.set(`${method} ${path}`, { endpoint, id: '', ids: [], provider: null })
  }
  // Those that say more come first: `/v1/responses/{id}/cancel` before `/v1/responses/{id}`.
  open.sort((a, b) => b.says - a.says)

  function plain(method: string, path: string): Found | null {
    const found = exact.get(`${method} ${path}`)
    if (found !== undefined) return found
    for (const { method: needed, prefix, pattern, endpoint } of open) {
      const fits = needed === method || needed === ANY_METHOD
      const taken = fits && path.startsWith(prefix) ? pattern.exec(path) : null
      if (taken === null) continue
      const ids = taken.slice(1).map(decode)
      return { endpoint, id: ids[0]!, ids, provider: null }
    }
    return null
  }

  function pinned(method: string, path: string): Found | null {
    const [, version, name = '', ...rest] = path.split('/')
    if (version !== 'v1' || !isProvider(name) || rest.length === 0) return null
    const found = plain(method, `/v1/${withoutVersions(rest)}`)
    return found === null ? null : { ...found, provider: name }
  }

  return {
    find(method, path) {
      const direct = exact.get(`${method} ${path}`)
      if (direct !== undefined) return direct
      const tidied = tidy(path)
      const asked = method === 'HEAD' ? 'GET' : method
      return pinned(asked, tidied) ?? plain(asked, undoubled(tidied))
    },
    otherMethod: (path) => ['POST', 'GET', 'DELETE'].find((method) => plain(method, tidy(path)) !== null) ?? null,
  }
}

/** A single id takes all that stands there, slashes included, as in names of models; of several each takes one segment. */
function patternOf(path: string): Pick<OpenRoute, 'prefix' | 'pattern' | 'says'> {
  const parts = path.split(ID)
  const id = parts.length === 2 ? '(.+)' : '([^/]+)'
  const text = parts.map((part) => part.replace(/[^\w/]/g, '\\$&')).join(id)
  return { prefix: parts[0]!, pattern: new RegExp(`^${text}$`), says: parts.join('').length }
}

/** Duplicate and trailing slashes mean nothing. */
export function tidy(path: string): string {
  const single = path.replace(/\/{2,}/g, '/')
  return single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single
}

/** Google's SDK brings its own version, Anthropic's one too many. */
function undoubled(path: string): string {
  return path.replace(/^\/v1\/v1\//, '/v1/').replace(/^\/v1beta1?\//, '/v1/')
}

/** What SDKs of single providers put before the endpoint, in the order they put it. */
const PREFIXES: readonly RegExp[] = [
  /^compatibility\//,
  /^api\//,
  /^openai\/deployments\/[^/]+\//,
  /^openai\//,
  /^v1(beta1?|alpha)?\//,
  /^openai\//,
]

function withoutVersions(segments: readonly string[]): string {
  return PREFIXES.reduce((path, prefix) => path.replace(prefix, ''), segments.join('/'))
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
