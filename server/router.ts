import type { Endpoint } from './endpoints/endpoint.ts'

/** Where a request goes, and what its path says on the way. */
export interface Found {
  readonly endpoint: Endpoint
  /** What the route's `{id}` took, decoded; empty where it has none. */
  readonly id: string
  /** The provider that the path pins the call to; null: none. */
  readonly provider: string | null
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
  readonly prefix: string
  /** What stands behind the id, such as `/cancel`. */
  readonly suffix: string
  readonly endpoint: Endpoint
}

const ID = '{id}'

/**
 * Finds routes in every spelling that clients produce: doubled and trailing slashes; SDKs that add a version of their
 * own to the base URL (`/v1/v1/messages`, `/v1/groq/openai/v1/chat/completions`, `/v1/google/v1beta/models/…`).
 * @param isProvider tells a provider's name in `/v1/{provider}/…` from an endpoint's
 */
export function createRouter(table: RouteTable, isProvider: (name: string) => boolean): Router {
  const exact = new Map<string, Found>()
  const open: OpenRoute[] = []
  for (const [method, path, endpoint] of table) {
    const at = path.indexOf(ID)
    if (at < 0) exact.set(`${method} ${path}`, { endpoint, id: '', provider: null })
    else open.push({ method, prefix: path.slice(0, at), suffix: path.slice(at + ID.length), endpoint })
  }
  // Those that say more come first: `/v1/responses/{id}/cancel` before `/v1/responses/{id}`.
  open.sort((a, b) => b.suffix.length - a.suffix.length || b.prefix.length - a.prefix.length)

  function plain(method: string, path: string): Found | null {
    const found = exact.get(`${method} ${path}`)
    if (found !== undefined) return found
    for (const { method: needed, prefix, suffix, endpoint } of open) {
      if (needed !== method || !path.startsWith(prefix) || !path.endsWith(suffix)) continue
      const id = path.slice(prefix.length, path.length - suffix.length)
      if (id !== '' && path.length > prefix.length + suffix.length) return { endpoint, id: decode(id), provider: null }
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
